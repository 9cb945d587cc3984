import { useWords } from './i18n/words.js';
import { EmptyState, NoticePage } from './ui/notice-page.js';

export function NotSecure() {
  const { start } = useWords();
  const secure = `https://${location.host}`;
  return (
    <NoticePage title={start.insecure}>
      <p>{start.insecureWhy}</p>
      <p>
        {start.insecureDo} <a href={secure}>{secure}</a>
      </p>
      <p>{start.insecureOr}</p>
    </NoticePage>
  );
}

export function StartFailed() {
  const { start } = useWords();
  return (
    <NoticePage title={start.failed}>
      <p>{start.failedWhy}</p>
      <Reload />
    </NoticePage>
  );
}

export function Broken({ error }: { error: unknown }) {
  const { start, errors } = useWords();
  return (
    <NoticePage title={isStale(error) ? errors.stale_page! : start.broken}>
      <p>{start.brokenWhy}</p>
      <Reload />
    </NoticePage>
  );
}

/** In the place of a part of the page. */
export function BrokenPart({ error }: { error: unknown }) {
  const { start, errors } = useWords();
  return (
    <EmptyState title={isStale(error) ? errors.stale_page! : start.brokenPart}>
      <Reload />
    </EmptyState>
  );
}

/** Whether a part could not be loaded because the server has another build of the page. */
function isStale(error: unknown): boolean {
  return (error as { code?: string } | undefined)?.code === 'stale_page';
}

function Reload() {
  const { start } = useWords();
  return (
    <button type="button" className="button button-primary" onClick={() => location.reload()}>
      {start.reload}
    </button>
  );
}
