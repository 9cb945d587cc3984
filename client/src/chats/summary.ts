import { LAST_ID, type ChatMarkRecord, type ChatMemberRecord, type ChatRecord, type Reading } from '../store.js';
import { within } from './host.js';

const MOST_UNREAD = 1000;

/** What is shown of a chat in a list, from what is in it: at most as many messages are read as are unread. */
export async function summarize(tx: Reading, chat: ChatRecord): Promise<ChatRecord> {
  const { id: chatId, me } = chat;
  const [mine] = await tx.getMany('chatMembers', [within(chatId, me)]);
  const mark = await tx.get('chatMarks', within(chatId, me));
  // What was written before one came is history, not news.
  const place = Math.max(mark?.read ?? 0, mine?.row.number ?? 0);
  const newer = await tx.thread({ chatId, after: { place, id: LAST_ID }, limit: MOST_UNREAD });
  const unread = newer.filter(({ authorId, deleted }) => authorId !== me && !deleted);
  const [last] = await tx.thread({ chatId, limit: 1 });
  return {
    ...chat,
    last,
    unread: unread.length,
    mentioned: unread.some(({ body }) => body?.mentions?.some(({ userId }) => userId === me)),
  };
}

export interface Progress {
  members: ChatMemberRecord[];
  marks: Map<string, ChatMarkRecord>;
}

export async function progressOf(tx: Reading, chatId: string): Promise<Progress> {
  const members = await tx.where('chatMembers', 'chatId', chatId);
  const marks = await tx.where('chatMarks', 'chatId', chatId);
  return { members, marks: new Map(marks.map((mark) => [mark.userId, mark])) };
}

/** How far a message is with each of the others that were there when it was written. */
export function receiptsOf({ members, marks }: Progress, me: string, place: number) {
  return members
    .filter(({ row }) => row.state === 'accepted' && row.userId !== me && (row.number <= place || row.history))
    .map(({ row: { userId, name } }) => {
      const { delivered = 0, read = 0 } = marks.get(userId) ?? {};
      const state = read >= place ? 'read' : delivered >= place ? 'delivered' : 'sent';
      return { userId, name, state } as const;
    });
}

export function stateAmong(receipts: ReturnType<typeof receiptsOf>): 'sent' | 'delivered' | 'read' {
  const has = (wanted: string) => receipts.some(({ state }) => state === wanted);
  return receipts.length === 0 || has('sent') ? 'sent' : has('delivered') ? 'delivered' : 'read';
}
