import { useChats } from '../chats/use-chats.js';
import { useClient } from '../client.js';
import { useWords } from '../i18n/words.js';
import { CloseIcon, SearchIcon } from '../ui/icons.js';
import './search.css';

export function SearchBox({ query, onQuery }: { query: string; onQuery: (query: string) => void }) {
  const client = useClient();
  const words = useWords();
  const { chats } = useChats();
  return (
    <search className="search-box">
      <SearchIcon />
      <input
        type="search"
        className="field"
        placeholder={words.list.searchHint}
        aria-label={words.list.searchHint}
        autoComplete="off"
        spellCheck={false}
        value={query}
        onFocus={() => {
          // Reads ahead; a search that follows tells when it fails.
          import('./search.js').then(({ prepareSearch }) => prepareSearch(client, chats)).catch(() => {});
        }}
        onChange={(event) => onQuery(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          // Once to clear, once more to leave.
          event.preventDefault();
          if (query) onQuery('');
          else event.currentTarget.blur();
        }}
      />
      {query && (
        <button type="button" className="icon-button" aria-label={words.list.clearSearch} onClick={() => onQuery('')}>
          <CloseIcon />
        </button>
      )}
    </search>
  );
}
