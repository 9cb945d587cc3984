import { Books } from './books.js';
import { isPassing, waitAfter, type Connection } from './connection.js';
import { epochOf } from './keys/index.js';
import type { Reader } from './reading.js';
import { LAST_ID, type ChatWish, type OutboxRecord, type RowWish, type Sealed, type Store } from './store.js';
import { ClientError } from './types.js';
import { pause } from './waiting.js';

type Wish = OutboxRecord['wish'];
type Send = Extract<Wish, { kind: 'send' }>;
type Read = Extract<Wish, { kind: 'read' }>;

const TRIES = 5;
/** What is sealed as it goes. */
const HELD = new Set(['send', 'put', 'value', 'record']);

/** Works off what was done here, in order, one at a time, whichever tab did it. */
export class Outbox {
  private working: Promise<void> | undefined;
  private again = false;
  private rest: AbortController | undefined;

  constructor(
    private readonly store: Store,
    private readonly connection: Connection,
    private readonly reader: () => Reader | undefined,
    /** A message failed for good. */
    private readonly failed: (conversationId: string) => void,
    /** Tells what an app wrote; what is refused gives way to what stands. */
    private readonly tellRow: (record: OutboxRecord, wish: RowWish) => Promise<void>,
    /** Tells what was done in a chat; what is refused is shown there. */
    private readonly tellChat: (record: OutboxRecord, wish: ChatWish) => Promise<void>,
    private readonly removeFile: (id: string) => Promise<void>,
  ) {}

  /** There may be something to do. */
  kick(): void {
    this.again = true;
    this.working ??= this.work()
      // The store, as a rule. It is tried again with the next connection.
      .catch((error: unknown) => this.connection.fail(error))
      .finally(() => (this.working = undefined));
  }

  /** To be called without a connection: resolves when nothing is under way any more. */
  async over(): Promise<void> {
    this.rest?.abort();
    await this.working;
  }

  private async work(): Promise<void> {
    while (this.again && this.connection.isLive) {
      this.again = false;
      // Another tab may be at it. What it leaves because it lost its connection is done here.
      await this.store.exclusive('outbox', async () => {
        const records = await this.store.read((tx) => tx.all('outbox'));
        records.sort((a, b) => (a.order < b.order ? -1 : 1));
        for (const record of records) if (!(await this.settle(record))) return;
      });
    }
  }

  /** False when there is no connection to go on with. */
  private async settle({ id, order }: OutboxRecord): Promise<boolean> {
    for (let attempt = 0; ; attempt++) {
      const reader = this.reader();
      if (reader === undefined || !this.connection.isLive) return false;
      const record = await this.store.read((tx) => tx.get('outbox', id));
      // Taken back, or replaced by something later, while it waited for its turn.
      if (record?.order !== order || isHeld(record, reader)) return true;
      try {
        await this.tell(record, reader);
        await this.done(record);
        return true;
      } catch (error) {
        // A part of an older page that is not to be had any more: what is written is not lost for that.
        if (!(error instanceof ClientError) || error.code === 'stale_page') throw error;
        if (!isPassing(error) || (error.code === 'internal' && attempt === TRIES)) {
          // The server has a message under this id, and only this device knows the id: an earlier try got through.
          await this.done(record, error.code !== 'temp_id_taken');
          return true;
        }
        if (!this.connection.isLive) return false;
        this.rest = new AbortController();
        await pause(waitAfter(error, attempt), this.rest.signal);
      }
    }
  }

  private async tell(record: OutboxRecord, reader: Reader): Promise<void> {
    const { id, wish } = record;
    if (wish.kind === 'send') {
      const { phoneNumber, message } = await this.sealed(id, wish, reader);
      await this.connection.request('web:send-message', { phoneNumber, message, tempId: id });
    } else if (wish.kind === 'read') {
      // What came since nobody has seen, and the server would mark it too.
      if (!(await this.hasNewer(wish)))
        await this.connection.request('web:mark-read', { conversationId: wish.conversationId });
    } else if (wish.kind === 'delete') {
      const { messageId, files = [] } = wish;
      await this.connection.request('web:delete-message', { messageId }).catch((error: unknown) => {
        // Gone already, by an earlier try perhaps: its files may not be.
        if (files.length === 0 || !(error instanceof ClientError) || error.code !== 'message_not_found') throw error;
      });
      for (const file of files) await this.removeFile(file);
    } else if (wish.kind === 'value' || wish.kind === 'record') {
      await this.tellRow(record, wish);
    } else if (wish.kind === 'chat') {
      await this.tellChat(record, wish);
    } else {
      const { key } = wish;
      const value = reader.keyring === undefined ? wish.value : await reader.keyring.seal('state', key, wish.value);
      await this.connection.request('state:put', { key, value });
    }
  }

  private hasNewer({ conversationId, upTo }: Read): Promise<boolean> {
    return this.store.read(async (tx) => {
      const after = { timestamp: upTo, id: LAST_ID };
      const newer = await tx.range({ conversationId, after, limit: Infinity });
      const row = (await tx.get('conversations', conversationId))?.row;
      const told = row !== undefined && row.unreadCount > 0 && row.lastMessageTime > upTo;
      return told || newer.some(({ type, read }) => type === 'received' && !read);
    });
  }

  /** As it was sealed first: a repeat is the same to the byte. But a phone takes no wish of an epoch that is over. */
  private async sealed(id: string, wish: Send, reader: Reader): Promise<Sealed> {
    const { keyring } = reader;
    if (wish.sealed !== undefined && (keyring === undefined || epochOf(wish.sealed.message) === keyring.epoch))
      return wish.sealed;
    const sealed = await seal(id, wish, reader);
    await this.store.write(async (tx) => {
      const stored = await tx.get('outbox', id);
      if (stored !== undefined) await tx.put('outbox', [{ ...stored, wish: { ...wish, sealed } }]);
    });
    return sealed;
  }

  /** Takes it off the list, unless something later about the same has taken its place. */
  private async done({ id, order, wish }: OutboxRecord, refused = false): Promise<void> {
    const thread = await this.store.write(async (tx) => {
      if ((await tx.get('outbox', id))?.order === order) await tx.delete('outbox', [id]);
      const [sync, message] = [await tx.value('sync'), await tx.get('messages', id)];
      if (!refused || wish.kind !== 'send' || sync === undefined || message?.status !== 'waiting') return undefined;
      const books = new Books(tx, sync);
      await books.enterMessages([{ ...message, status: 'failed' }]);
      await tx.set('sync', await books.close());
      return message.conversationId;
    });
    if (thread !== undefined) this.failed(thread);
  }
}

/**
 * While the others have gone on to an epoch whose key has not come, nothing is sealed: it would be with a key that a device
 * has which was removed. It goes when the key is here.
 */
function isHeld({ wish }: OutboxRecord, { keyring }: Reader): boolean {
  return keyring?.isLeftOut === true && HELD.has(wish.kind);
}

/** What goes to the server of a message: the envelope and the alias, or, where nothing is encrypted, the text itself. */
export async function seal(id: string, wish: Omit<Send, 'kind' | 'sealed'>, reader: Reader): Promise<Sealed> {
  const { number, text, timestamp, conversationId } = wish;
  if (reader.keyring === undefined) return { phoneNumber: number, message: text };
  const place = conversationId === undefined ? {} : { conversationId };
  const content = { number, text, type: 'sent', timestamp, ...place, wanted: true };
  return { phoneNumber: await reader.alias(number), message: await reader.keyring.seal('message', id, content) };
}
