import type { Message } from '@pairline/client';
import { useClient } from '../client.js';
import { useInsideWords } from '../i18n/inside-words.js';
import { Dialog } from '../ui/dialog.js';
import { Menu, type MenuPlace } from '../ui/menu.js';
import { useToasts } from '../ui/toasts.js';
import { useCopy } from '../ui/use-copy.js';

export function MessageMenu({
  message,
  place,
  onDelete,
  onClose,
}: {
  message: Message;
  place: MenuPlace;
  onDelete: (message: Message) => void;
  onClose: () => void;
}) {
  const client = useClient();
  const words = useInsideWords();
  const copy = useCopy();
  const { attempt } = useToasts();
  const items = [
    ...(message.fault || message.text === '' ? [] : [{ label: words.thread.copyText, act: () => copy(message.text) }]),
    ...(message.status === 'failed' && !message.files
      ? [{ label: words.thread.retry, act: () => void attempt(() => client.retry(message.id)) }]
      : []),
    { label: words.thread.delete, dangerous: true, act: () => onDelete(message) },
  ];
  return <Menu label={words.thread.menu} items={items} note={words.thread.plain} place={place} onClose={onClose} />;
}

export function DeleteDialog({ message, onClose }: { message: Message; onClose: () => void }) {
  const client = useClient();
  const words = useInsideWords();
  const { attempt } = useToasts();
  return (
    <Dialog
      title={words.thread.deleteTitle}
      confirm={words.thread.delete}
      dangerous
      onConfirm={() => void attempt(() => client.deleteMessage(message.id))}
      onClose={onClose}
    >
      <p>{words.thread.deleteWhy}</p>
    </Dialog>
  );
}
