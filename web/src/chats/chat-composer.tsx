import type { Chat, ChatMessage, Draft, Member } from '@pairline/client';
import { useMemo } from 'react';
import { useClient, useClientState } from '../client.js';
import { Composer } from '../composer/composer.js';
import { AttachButton, pasteFiles } from '../files/attaching.js';
import { TrayList } from '../files/tray-list.js';
import { useTray } from '../files/use-tray.js';
import { useChatWords } from '../i18n/chat-words.js';
import { useWords } from '../i18n/words.js';
import { problemOf } from '../status-line.js';
import { CloseIcon, PenIcon, ReplyIcon } from '../ui/icons.js';
import { completeMention, findMentions } from './mentions.js';
import { useOpenChats } from './use-chats.js';
import { useChatToasts } from './use-chat-toasts.js';

/** What is written besides a message of its own. */
export interface Writing {
  as: 'reply' | 'edit';
  message: ChatMessage;
}

const MOST_CHARACTERS = 10_000; // Sealed, they stay within what a server takes (MAX_TEXT_LENGTH).

export function ChatComposer({
  chat,
  members,
  writing,
  onWriting,
}: {
  chat: Chat;
  members: Member[];
  writing: Writing | undefined;
  onWriting: (writing: Writing | undefined) => void;
}) {
  const chats = useOpenChats();
  const words = useChatWords().composer;
  const { attempt } = useChatToasts();
  const client = useClient();
  const { tray, files: waitingFiles, held } = useTray(client.files, chat.id);
  const editing = writing?.as === 'edit' ? writing.message : undefined;
  const others = useMemo(() => members.filter(({ me, membership }) => !me && membership === 'accepted'), [members]);
  const complete = useMemo(() => completeMention(others), [others]);

  const send = async (text: string) => {
    const mentions = findMentions(text, others);
    const draft: Draft = { text, ...(mentions.length > 0 && { mentions }) };
    if (editing) {
      const { files } = editing;
      const done = await attempt(() => chats.edit(chat.id, editing.id, { ...draft, ...(files.length > 0 && { files }) })); // prettier-ignore
      if (done) onWriting(undefined);
      return done;
    }
    const taken = tray.take(text);
    if (taken === undefined) return false;
    onWriting(undefined);
    const [files = [], ...more] = taken.groups;
    const replyTo = writing?.message.id;
    const whole = { ...draft, ...(replyTo !== undefined && { replyTo }), ...(files.length > 0 && { files }) };
    if (!(await attempt(() => chats.send(chat.id, whole)))) {
      taken.putBack();
      onWriting(writing);
      return false;
    }
    for (const group of more) await attempt(() => chats.send(chat.id, { files: group }));
    return true;
  };
  const addFiles = (files: File[]) => tray.add(files);

  return (
    <Composer
      // What is edited is another text than what is being written.
      key={editing?.id ?? ''}
      draftKey={editing ? `edit ${editing.id}` : `chat ${chat.id}`}
      draft={editing ? editing.text : chat.draft}
      saveDraft={editing ? () => Promise.resolve() : (text) => chats.saveDraft(chat.id, text)}
      onSend={send}
      placeholder={words.placeholder}
      maxLength={MOST_CHARACTERS}
      {...(editing && { sendWords: words.save })}
      above={
        <>
          <Waits />
          {writing && <Banner writing={writing} onStop={() => onWriting(undefined)} />}
          {!editing && <TrayList tray={tray} files={waitingFiles} />}
        </>
      }
      beside={!editing && <AttachButton onFiles={addFiles} />}
      hasMore={editing ? editing.files.length > 0 : waitingFiles.length > 0}
      held={!editing && held}
      {...(!editing && { onPaste: pasteFiles(addFiles) })}
      focusOn={writing && `${writing.as} ${writing.message.id}`}
      complete={complete}
      completionWords={{ list: words.members, found: words.found }}
      onType={() => chats.typing(chat.id)}
      onEscape={() => {
        onWriting(undefined);
        return writing !== undefined;
      }}
    />
  );
}

function Banner({ writing, onStop }: { writing: Writing; onStop: () => void }) {
  const { composer, thread } = useChatWords();
  const { as, message } = writing;
  const Icon = as === 'edit' ? PenIcon : ReplyIcon;
  return (
    <div className="composer-banner">
      <Icon />
      <div>
        <p className="composer-banner-title">
          {as === 'edit'
            ? composer.editing
            : composer.replying(message.mine ? thread.you : message.authorName || thread.somebody)}
        </p>
        <p className="composer-banner-text" dir="auto">
          {message.text || thread.files(message.files.length)}
        </p>
      </div>
      <button
        type="button"
        className="icon-button"
        aria-label={as === 'edit' ? composer.stopEdit : composer.stopReply}
        onClick={onStop}
      >
        <CloseIcon />
      </button>
    </div>
  );
}

/** Why what is written now does not go out at once. */
function Waits() {
  const words = useWords();
  const chatWords = useChatWords().composer;
  const state = useClientState();
  const problem = problemOf(state, words);
  if (problem === undefined && state.phase !== 'offline') return null;
  return <p className="composer-waits">{problem ?? chatWords.offline}</p>;
}
