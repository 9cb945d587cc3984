import type { Message, WebClient } from '@pairline/client';
import type { FromIndex, ToIndex } from './protocol.js';

// One index for each tab: built when the search box is first used, from what the client has decrypted, and brought up
// to date before each search. Nothing of it leaves the tab.

const PIECE = 200; // Messages of a changed conversation that are read at once.
const WORTH_ANEW = 1000; // So many at once, and reading everything anew is simpler than following them.

interface Index {
  worker: Worker;
  /** Conversations whose messages changed since they were read, each with the time of the oldest that did. */
  changed: Map<string, number>;
  progress: { done: boolean; texts: number };
  built: Promise<void>;
  answers: Map<number, (answer: FromIndex) => void>;
  stop(): void;
}

let index: Index | undefined;
let owner: WebClient | undefined;
let requests = 0;
const listeners = new Set<() => void>();

/** Starts to read the messages, once. Resolves when all are in the index. */
export function prepareSearch(client: WebClient): Promise<void> {
  if (index === undefined || owner !== client) {
    index?.stop();
    owner = client;
    build(client);
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
export async function searchMessages(client: WebClient, query: string): Promise<FromIndex> {
  void prepareSearch(client);
  // While a sync goes on it is too much to follow; what comes of it is below.
  if (client.state.phase !== 'syncing') await catchUp(client, index as Index);
  void prepareSearch(client);
  const { worker, answers } = index as Index;
  const request = requests++;
  return new Promise((resolve) => {
    answers.set(request, resolve);
    worker.postMessage({ query, request } satisfies ToIndex);
  });
}

/** Adds what changed since it was read; drops an index that this is too much for. */
async function catchUp(client: WebClient, from: Index): Promise<void> {
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
        add: add.map(({ id, text, timestamp }) => ({ id, conversationId, text, timestamp })),
      } satisfies ToIndex);
      count += messages.length;
      if (count > WORTH_ANEW) return from.stop();
      before = messages.length < PIECE ? undefined : messages[0];
    } while (before !== undefined && before.timestamp >= since);
  }
}

function build(client: WebClient): void {
  const worker = new Worker(new URL('./index.worker.ts', import.meta.url), { type: 'module' });
  const answers: Index['answers'] = new Map();
  const changed: Index['changed'] = new Map();
  worker.onmessage = ({ data }: MessageEvent<FromIndex>) => {
    answers.get(data.request)?.(data);
    answers.delete(data.request);
  };

  const offMessages = client.on('messages', (conversationId, since) => {
    if (since < Infinity) changed.set(conversationId, Math.min(since, changed.get(conversationId) ?? Infinity));
  });
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
    for await (const piece of client.texts()) {
      if (index !== made) return;
      worker.postMessage({ add: piece } satisfies ToIndex);
      texts += piece.length;
      tell({ done: false, texts });
    }
    tell({ done: true, texts });
  };
  const made: Index = {
    worker,
    changed,
    answers,
    progress: NOT_STARTED,
    built: Promise.resolve(),
    stop() {
      offMessages();
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
