// The components of files (web/src/files) on a page of their own: what is chosen here is uploaded, and what is sent is shown below,
// in a bubble of one's own and in one of somebody else.
import { memoryStore, openWebClient } from '@pairline/client';
import { createElement as h, StrictMode, Suspense, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Attachments } from '../../../web/src/files/attachments.tsx';
import { AttachButton, DropZone, pasteFiles } from '../../../web/src/files/attaching.tsx';
import { TrayList } from '../../../web/src/files/tray-list.tsx';
import { useTray } from '../../../web/src/files/use-tray.ts';
import { WordsProvider } from '../../../web/src/i18n/words.tsx';
import '../../../web/src/styles/tokens.css';
import '../../../web/src/styles/base.css';
import '../../../web/src/ui/ui.css';
import '../../../web/src/thread/thread.css';

function Page({ client }) {
  const { tray, files, held } = useTray(client.files, 'a conversation');
  const [sent, setSent] = useState([]);
  const add = (chosen) => tray.add(chosen);
  const bubble = (group, index) =>
    ['sent', 'received'].map((type) =>
      h(
        'li',
        { key: `${index} ${type}`, className: `message message-${type} message-first message-last` },
        h('div', { className: 'bubble' }, h(Attachments, { load: client.files, files: group })),
      ),
    );
  // For tests that have what another device would send.
  window.show = (group) => setSent((before) => [...before, group]);
  window.client = client;
  return h(
    DropZone,
    { onFiles: add },
    h('h1', null, 'Files'),
    h('ol', { 'aria-label': 'Messages' }, sent.map(bubble)),
    h(TrayList, { tray, files }),
    h(AttachButton, { onFiles: add }),
    h('textarea', { 'aria-label': 'Message', onPaste: pasteFiles(add) }),
    h(
      'button',
      { disabled: held, onClick: () => setSent((before) => [...before, ...(tray.take()?.groups ?? [])]) },
      'Send',
    ),
  );
}

const client = await openWebClient({ url: location.origin, store: memoryStore() });
const name = `somebody-${crypto.randomUUID()}`;
await client.register({ name, password: 'a long password', deviceName: 'A browser', remember: false });
createRoot(document.getElementById('root')).render(
  h(StrictMode, null, h(WordsProvider, null, h(Suspense, { fallback: 'Loading' }, h(Page, { client })))),
);
