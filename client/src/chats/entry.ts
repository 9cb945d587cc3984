import { type ChatMessageRecord, type ChatReactionRecord, type ChatsNews, type Writing } from '../store.js';
import { chatIdOf } from './host.js';
import type { Opening } from './opened.js';
import { summarize } from './summary.js';
import { isIn } from './vouching.js';

/** What came of rows. */
export interface Taken {
  news: ChatsNews;
  /** Messages by others that are new here, with the numbers of the changes that brought them. */
  arrived: (Pick<ChatMessageRecord, 'chatId' | 'messageId' | 'place'> & { seq: number })[];
}

/** Puts what was opened in its place, in one transaction; then what is shown of the chats follows. */
export class Entry {
  private readonly touched = new Set<string>();
  private readonly arrived: Taken['arrived'] = [];
  private readonly news: ChatsNews = {};

  constructor(
    private readonly tx: Writing,
    private readonly opening: Opening,
  ) {}

  async write(): Promise<void> {
    const { tx, opening } = this;
    const { gone } = opening;
    if (opening.members.size + opening.chats.size > 0) this.news.list = this.news.invitations = true;
    if (opening.people.size + opening.blocks.length + gone.blocks.length > 0) this.news.people = true;
    await tx.put('people', [...opening.people.values()]);
    await tx.put('blocks', opening.blocks);
    await tx.delete('blocks', gone.blocks);
    await tx.put('chatMembers', [...opening.members.values()]);
    await tx.put('chatKeys', [...opening.keys.values()]);
    // Each stands before what belongs to it is looked at.
    const ids = new Set([...opening.chats.keys(), ...this.mentioned()]);
    await tx.put('chats', [...ids].map((id) => opening.chat(id))); // prettier-ignore
    for (const id of ids) this.touched.add(id);
    await this.writeMessages();
    await this.writeReactions();
    await this.writeMarks();
    for (const id of gone.chats) await this.end(id);
  }

  /** What was not told of again in a snapshot is gone. */
  async sweep(round: number): Promise<void> {
    const { tx } = this;
    for (const { id } of (await tx.all('chats')).filter((chat) => chat.round < round)) await this.end(id);
    for (const table of ['chatMarks', 'chatReactions', 'blocks'] as const) {
      const old = (await tx.all(table)).filter((record) => record.round < round);
      await tx.delete(table, old.map(({ id }) => id)); // prettier-ignore
    }
    await this.sweepMembers(round);
    for (const { id: chatId } of await tx.all('chats')) {
      const messages = await tx.thread({ chatId, limit: Infinity });
      const old = messages.filter((message) => message.round < round && message.state === undefined);
      await tx.delete('chatMessages', old.map(({ id }) => id)); // prettier-ignore
      this.touched.add(chatId);
    }
    Object.assign(this.news, { list: true, invitations: true, people: true });
  }

  async close(): Promise<Taken> {
    const { tx } = this;
    const chats = (await tx.getMany('chats', [...this.touched])).filter((chat) => chat !== undefined);
    for (const chat of chats) await tx.put('chats', [await summarize(tx, chat)]);
    if (this.touched.size > 0) Object.assign(this.news, { list: true, chats: [...this.touched] });
    return { news: this.news, arrived: this.arrived };
  }

  /** They are remembered as gone: what was once signed of them is not to bring them back. */
  private async sweepMembers(round: number): Promise<void> {
    const { tx } = this;
    for (const old of (await tx.all('chatMembers')).filter((member) => member.round < round)) {
      const epoch = (await tx.get('chats', old.chatId))?.row?.epoch ?? 0;
      const gone = isIn(old.row.state) ? { row: { ...old.row, state: 'removed' as const }, out: epoch } : {};
      await tx.put('chatMembers', [{ ...old, ...gone, vouched: undefined, round }]);
    }
  }

  /** The chats of what was opened. */
  private mentioned(): string[] {
    const { messages, reactions, marks, keys } = this.opening;
    return [messages, reactions, marks, [...keys.values()]].flatMap((records) => records.map(({ chatId }) => chatId));
  }

  private async writeMessages(): Promise<void> {
    const { tx, opening } = this;
    const ids = opening.messages.map(({ id }) => id);
    const olds = await tx.getMany('chatMessages', ids);
    // What was deleted here stays away, also when the server, which does not know yet, tells of it.
    const deletions = await tx.getMany('outbox', ids.map((id) => `chat delete ${id}`)); // prettier-ignore
    const records = opening.messages.flatMap((message, i) => {
      if (deletions[i] === undefined) return this.merged(message, olds[i]);
      return olds[i] === undefined ? [] : { ...olds[i], round: message.round };
    });
    await tx.put('chatMessages', records);
    for (const id of opening.gone.messages) {
      const old = await tx.get('chatMessages', id);
      if (old === undefined) continue;
      await tx.put('chatMessages', [asDeleted(old)]);
      this.touched.add(chatIdOf(id));
    }
  }

  private merged(message: ChatMessageRecord, old: ChatMessageRecord | undefined): ChatMessageRecord {
    if (old === undefined) {
      const { chatId, messageId, place } = message;
      if (message.authorId !== this.opening.me(chatId))
        this.arrived.push({ chatId, messageId, place, seq: this.opening.came.get(message.id)! });
      return message;
    }
    if (old.deleted) return { ...old, round: message.round };
    if (old.body === undefined) return message;
    const { body, epoch = 0, fault, round, place, timestamp, row, closed } = message;
    // A message stays its author's.
    if (message.authorId !== old.authorId) return { ...old, round };
    // What stood is remembered: something older must not come after it.
    if (fault === 'tampered' || fault === 'wrong-author') return { ...message, body: old.body, epoch: old.epoch };
    // What cannot be opened yet does not hide what stands; what is older does not take its place.
    const isOlder = body !== undefined && (epoch < (old.epoch ?? 0) || (body.edit ?? 0) < (old.body.edit ?? 0));
    if (body !== undefined && !isOlder) return message;
    const stands = { ...old, round, place, timestamp, state: undefined, problem: undefined };
    return body === undefined ? { ...stands, row, closed } : stands;
  }

  private async writeReactions(): Promise<void> {
    const { tx, opening } = this;
    for (const reaction of opening.reactions) {
      const old = await tx.get('chatReactions', reaction.id);
      const { round, row, closed } = reaction;
      // What cannot be opened yet does not hide what stands, nor make it forgotten.
      if (old !== undefined && closed !== undefined) await tx.put('chatReactions', [{ ...old, row, closed, round }]);
      else if (old !== undefined && isOlder(reaction, old)) await tx.put('chatReactions', [{ ...old, round }]);
      else await tx.put('chatReactions', [reaction]);
    }
    for (const id of opening.gone.reactions) {
      const old = await tx.get('chatReactions', id);
      if (old === undefined) continue;
      await tx.put('chatReactions', [{ ...old, emoji: undefined, row: undefined, closed: undefined }]);
      this.touched.add(chatIdOf(id));
    }
  }

  private async writeMarks(): Promise<void> {
    const { tx, opening } = this;
    for (const mark of opening.marks) {
      const old = await tx.get('chatMarks', mark.id);
      const [delivered, read] = [Math.max(mark.delivered, old?.delivered ?? 0), Math.max(mark.read, old?.read ?? 0)];
      await tx.put('chatMarks', [{ ...mark, delivered, read }]);
    }
  }

  /** A chat is over, and all that was in it. */
  private async end(chatId: string): Promise<void> {
    const { tx } = this;
    const messages = await tx.thread({ chatId, limit: Infinity });
    const reactions = (await tx.all('chatReactions')).filter((reaction) => reaction.chatId === chatId);
    const wishes = (await tx.all('outbox')).filter(({ wish }) => wish.kind === 'chat' && wish.chatId === chatId);
    await tx.delete('chatMessages', messages.map(({ id }) => id)); // prettier-ignore
    await tx.delete('chatReactions', reactions.map(({ id }) => id)); // prettier-ignore
    await tx.delete('outbox', wishes.map(({ id }) => id)); // prettier-ignore
    for (const table of ['chatMembers', 'chatKeys', 'chatMarks'] as const)
      await tx.delete(table, (await tx.where(table, 'chatId', chatId)).map(({ id }) => id)); // prettier-ignore
    await tx.delete('drafts', [chatId]);
    await tx.delete('chats', [chatId]);
    this.touched.add(chatId);
  }
}

/** Its place is left. */
export function asDeleted(message: ChatMessageRecord): ChatMessageRecord {
  const nothing = { body: undefined, fault: undefined, unverified: undefined, row: undefined, closed: undefined, state: undefined }; // prettier-ignore
  return { ...message, ...nothing, deleted: true };
}

/** The one that was taken back does not come back either. */
function isOlder({ epoch, version }: ChatReactionRecord, old: ChatReactionRecord): boolean {
  if (epoch !== old.epoch) return epoch < old.epoch;
  return version < old.version || (version === old.version && old.emoji === undefined && old.closed === undefined);
}
