import type { Chats, Message, WebClient } from '@pairline/client';
import type { FromIndex, IndexedText, ToIndex } from './protocol.js';

// One index for each tab: built when the search box is first used, from what the client has decrypted, and brought up
// to date before each search. Nothing of it leaves the tab.

const PIECE = 200; // Messages of a changed conversation that are read at once.
const WORTH_ANEW = 1000; // So many at once, and reading everything anew is simpler than following them.

interface Index {
  worker: Worker;
  /** Conversations whose messages changed since they were read, each with the time of the oldest that did. */
  changed: Map<string, number>;
  /** Private conversations that changed, and their messages that were read: there is no time to go by. */
  changedChats: Set<string>;
  knownInChats: Set<string>;
  progress: { done: boolean; texts: number };
  built: Promise<void>;
  answers: Map<number, (answer: FromIndex) => void>;
  stop(): void;
}

let index: Index | undefined;
let owner: WebClient | undefined;
let ownerChats: Chats | undefined;
let requests = 0;
const listeners = new Set<() => void>();

/** Starts to read the messages, once. Resolves when all are in the index. */
export function prepareSearch(client: WebClient, chats: Chats | undefined): Promise<void> {
  if (index === undefined || owner !== client || ownerChats !== chats) {
    index?.stop();
    owner = client;
    ownerChats = chats;
    build(client, chats);
  }
  return (index as Index).built;
}

export function searchProgress(): Index['progress'] {
  return index?.progress ?? NOT_STARTED;
}

const NOT_STARTED = { done: false, texts: 0 };

export function onSearchProgress(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The messages that have all words of `query` (or begin so), newest first, of those that are in the index by now. */
export async function searchMessages(client: WebClient, chats: Chats | undefined, query: string): Promise<FromIndex> {
  void prepareSearch(client, chats);
  // While a sync goes on it is too much to follow; what comes of it is below.
  if (client.state.phase !== 'syncing') await catchUp(client, chats, index as Index);
  void prepareSearch(client, chats);
  const { worker, answers } = index as Index;
  const request = requests++;
  return new Promise((resolve) => {
    answers.set(request, resolve);
    worker.postMessage({ query, request } satisfies ToIndex);
  });
}

/** Adds what changed since it was read; drops an index that this is too much for. */
async function catchUp(client: WebClient, chats: Chats | undefined, from: Index): Promise<void> {
  if (chats !== undefined) await catchUpChats(chats, from);
  const { worker, changed } = from;
  const conversations = [...changed];
  changed.clear();
  let count = 0;
  for (const [conversationId, since] of conversations) {
    let before: Message | undefined;
    do {
      const messages = await client.messages(conversationId, { limit: PIECE, ...(before && { before }) });
      const add = messages.filter(({ fault }) => !fault);
      worker.postMessage({
        add: add.map(({ id, text, timestamp }) => ({ id: keyOf({ id }), conversationId, text, timestamp })),
      } satisfies ToIndex);
      count += messages.length;
      if (count > WORTH_ANEW) return from.stop();
      before = messages.length < PIECE ? undefined : messages[0];
    } while (before !== undefined && before.timestamp >= since);
  }
}

/** The newest ones of each, until there are none that are new; what was edited or deleted before those is seen when it is shown. */
async function catchUpChats(chats: Chats, { worker, changedChats, knownInChats }: Index): Promise<void> {
  const ids = [...changedChats];
  changedChats.clear();
  for (const chatId of ids) {
    let before: Awaited<ReturnType<Chats['messages']>>[number] | undefined;
    do {
      const messages = await chats.messages(chatId, { limit: PIECE, ...(before && { before }) });
      const add = messages
        .filter(({ fault, deleted }) => !fault && !deleted)
        .map(({ id, text, timestamp }) => ({ id: keyOf({ id, chatId }), conversationId: chatId, text, timestamp }));
      worker.postMessage({ add } satisfies ToIndex);
      const isNew = add.filter(({ id }) => !knownInChats.has(id)).length > 0;
      for (const { id } of add) knownInChats.add(id);
      before = isNew && messages.length === PIECE ? messages[0] : undefined;
    } while (before !== undefined);
  }
}

/** A message in the index: ids of texts and of private messages may be the same. */
export interface Found {
  id: string;
  /** Of a private one. */
  chatId?: string;
}

function keyOf({ id, chatId }: Found): string {
  return chatId === undefined ? `t ${id}` : `p ${chatId} ${id}`;
}

/** Chat ids are UUIDs: the first space behind one ends it. */
export function foundBy(key: string): Found {
  const rest = key.slice(2);
  if (key.startsWith('t')) return { id: rest };
  const end = rest.indexOf(' ');
  return { chatId: rest.slice(0, end), id: rest.slice(end + 1) };
}

function build(client: WebClient, chats: Chats | undefined): void {
  const worker = new Worker(new URL('./index.worker.ts', import.meta.url), { type: 'module' });
  const answers: Index['answers'] = new Map();
  const changed: Index['changed'] = new Map();
  const changedChats = new Set<string>();
  const knownInChats = new Set<string>();
  worker.onmessage = ({ data }: MessageEvent<FromIndex>) => {
    answers.get(data.request)?.(data);
    answers.delete(data.request);
  };

  const offMessages = client.on('messages', (conversationId, since) => {
    if (since < Infinity) changed.set(conversationId, Math.min(since, changed.get(conversationId) ?? Infinity));
  });
  const offChats = chats?.on('chat', (chatId) => void changedChats.add(chatId));
  let synced = 0;
  const offState = client.on('state', (state) => {
    if (state.phase === 'syncing') synced = state.synced ?? 0;
    // What was stored here is gone, so is what was read of it; or much of it is new, of any age.
    if (state.phase === 'signed-out' || (state.phase === 'live' && synced > WORTH_ANEW)) made.stop();
    else if (state.phase === 'live') synced = 0;
  });
  const tell = (progress: Index['progress']) => {
    if (index !== made) return;
    made.progress = progress;
    for (const listener of listeners) listener();
  };

  const read = async () => {
    let texts = 0;
    const add = (piece: IndexedText[]) => {
      worker.postMessage({ add: piece } satisfies ToIndex);
      texts += piece.length;
      tell({ done: false, texts });
    };
    for await (const piece of client.texts()) {
      if (index !== made) return;
      add(piece.map((text) => ({ ...text, id: keyOf(text) })));
    }
    for await (const piece of chats?.texts() ?? []) {
      if (index !== made) return;
      const texts = piece.map(({ chatId, ...text }) => ({
        ...text,
        id: keyOf({ id: text.id, chatId }),
        conversationId: chatId,
      }));
      for (const { id } of texts) knownInChats.add(id);
      add(texts);
    }
    tell({ done: true, texts });
  };
  const made: Index = {
    worker,
    changed,
    changedChats,
    knownInChats,
    answers,
    progress: NOT_STARTED,
    built: Promise.resolve(),
    stop() {
      offMessages();
      offChats?.();
      offState();
      worker.terminate();
      if (index !== made) return;
      index = undefined;
      for (const listener of listeners) listener();
    },
  };
  index = made;
  made.built = read();
  // Whoever searches is told of it by `built`; a next use starts over.
  made.built.catch(() => made.stop());
}
