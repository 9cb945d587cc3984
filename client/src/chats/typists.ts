import type { Typing } from '@pairline/protocol';

/** Longer than the server takes to say that somebody has stopped. */
const FORGOTTEN_MS = 6000;

/** Who types where, as the server tells: nothing of it is kept. */
export class Typists {
  private readonly chats = new Map<string, Map<string, { name: string; timer: ReturnType<typeof setTimeout> }>>();

  constructor(private readonly changed: (chatId: string, people: { userId: string; name: string }[]) => void) {}

  began({ conversationId, user_id: userId, pseudo: name }: Typing): void {
    const people = this.chats.get(conversationId) ?? new Map<string, never>();
    const known = people.get(userId);
    clearTimeout(known?.timer);
    const timer = setTimeout(() => this.stopped(conversationId, userId), FORGOTTEN_MS);
    // Nothing waits for it.
    (timer as { unref?: () => void }).unref?.();
    this.chats.set(conversationId, people.set(userId, { name, timer }));
    if (known === undefined) this.tell(conversationId);
  }

  stopped(chatId: string, userId: string): void {
    const people = this.chats.get(chatId);
    clearTimeout(people?.get(userId)?.timer);
    if (people?.delete(userId)) this.tell(chatId);
  }

  private tell(chatId: string): void {
    const people = [...(this.chats.get(chatId) ?? [])];
    this.changed(chatId, people.map(([userId, { name }]) => ({ userId, name }))); // prettier-ignore
  }
}
