import type { ChatChange } from '@pairline/protocol';
import type { Store, Writing } from '../store.js';
import { chatIdOf, within } from './host.js';
import { Entry, type Taken } from './entry.js';
import { Opening } from './opened.js';

const PIECE = 500;

/** Opens what came of chats and puts it in its place; a piece at a time, and in one tab at a time. */
export class Intake {
  constructor(
    private readonly store: Store,
    private readonly accountId: () => string,
  ) {}

  /** Undefined when there is nothing. */
  take(): Promise<Taken | undefined> {
    return this.store.exclusive('chats', async () => {
      const accountId = this.accountId();
      const piece = await this.store.read((tx) => tx.inbox(PIECE));
      if (piece.length === 0) return undefined;
      const changes = piece.flatMap(({ change, round }) => (change && isInPlace(change) ? { change, round } : []));
      const ofChats = changes.filter(({ change }) => change.kind !== 'block');
      const opening = await Opening.load(this.store, ofChats.map(({ change }) => chatIdOf(change.id)), accountId); // prettier-ignore
      await opening.open(changes);
      return this.write(accountId, async (tx) => {
        const entry = new Entry(tx, opening);
        await entry.write();
        for (const { id, seq, round } of piece) {
          // Something newer may have taken its place meanwhile, or the same as a snapshot tells it.
          const now = await tx.get('inbox', id);
          if (now?.seq === seq && now.round === round) await tx.delete('inbox', [id]);
        }
        const end = piece.find(({ change }) => change === undefined);
        if (end !== undefined) await entry.sweep(end.round);
        return entry.close();
      });
    });
  }

  /** Opens what is closed in some chats: a key has become known, or trusted. */
  reopen(chatIds: string[]): Promise<Taken | undefined> {
    return this.store.exclusive('chats', async () => {
      const accountId = this.accountId();
      const opening = await Opening.load(this.store, chatIds, accountId);
      await opening.reopen(chatIds);
      return this.write(accountId, async (tx) => {
        const entry = new Entry(tx, opening);
        await entry.write();
        return entry.close();
      });
    });
  }

  /** Undefined when this account has signed out meanwhile: nothing of it is to stay behind. */
  private write(accountId: string, work: (tx: Writing) => Promise<Taken>): Promise<Taken | undefined> {
    return this.store.write(async (tx) =>
      (await tx.value('session'))?.accountId === accountId ? work(tx) : undefined,
    );
  }
}

/** Whether a row is what its place says: in another chat's it would take that one's, with what is known of it. */
function isInPlace(change: ChatChange): boolean {
  const { id, kind, row } = change;
  if (row === undefined) return true;
  if (kind === 'block') return id === row.id;
  return id === (kind === 'chat' ? row.chatId : within(row.chatId, idOf(change)));
}

function idOf({ kind, row }: ChatChange): string {
  if (row === undefined || kind === 'chat' || kind === 'block' || kind === 'chat.message') return row?.id ?? '';
  if (kind === 'chat.key') return `${row.epoch}:${row.userId}`;
  return kind === 'chat.reaction' ? within(row.messageId, row.userId) : row.userId;
}
