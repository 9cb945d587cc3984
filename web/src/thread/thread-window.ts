import type { Message, WebClient } from '@pairline/client';

export const PAGE = 50;
/** More messages than this are never in the page at once; what leaves at one end is read again when it comes back. */
const MOST = 200;

/** What is shown of a conversation: a stretch of its messages, oldest first. */
export interface Stretch {
  messages: readonly Message[];
  /** Nothing older, or newer, exists. */
  atStart: boolean;
  atEnd: boolean;
}

/**
 * A window on a conversation of any length, moved by pages. Its readings happen one after the other, so that none works on
 * what another is about to replace.
 */
export class ThreadWindow {
  private stretch: Stretch = { messages: [], atStart: false, atEnd: false };
  private queue: Promise<unknown> = Promise.resolve();
  private refreshing = false;
  private over = false;

  constructor(
    private readonly client: WebClient,
    private readonly conversationId: string,
    /** Called with each new stretch. */
    private readonly onChange: (stretch: Stretch) => void,
  ) {}

  openNewest(): Promise<void> {
    return this.next(async () => {
      const messages = await this.client.messages(this.conversationId, { limit: PAGE });
      return { messages, atStart: messages.length < PAGE, atEnd: true };
    });
  }

  openAround(messageId: string): Promise<void> {
    return this.next(async () => {
      const messages = await this.client.around(messageId, PAGE);
      if (messages.length > 0) return { messages, atStart: false, atEnd: false };
      const newest = await this.client.messages(this.conversationId, { limit: PAGE });
      return { messages: newest, atStart: newest.length < PAGE, atEnd: true };
    });
  }

  older(): Promise<void> {
    return this.next(async ({ messages, atStart, atEnd }) => {
      const first = messages[0];
      if (atStart || first === undefined) return undefined;
      const before = await this.client.messages(this.conversationId, { limit: PAGE, before: first });
      const all = [...before, ...messages];
      return { messages: all.slice(0, MOST), atStart: before.length < PAGE, atEnd: atEnd && all.length <= MOST };
    });
  }

  newer(): Promise<void> {
    return this.next(async ({ messages, atStart, atEnd }) => {
      const last = messages.at(-1);
      if (atEnd || last === undefined) return undefined;
      const after = await this.client.after(last, PAGE);
      const all = [...messages, ...after];
      return { messages: all.slice(-MOST), atStart: atStart && all.length <= MOST, atEnd: after.length < PAGE };
    });
  }

  /** Reads what is shown once more, after a change; at the end also what came in. */
  refresh(following: boolean): Promise<void> {
    if (this.refreshing) return Promise.resolve();
    this.refreshing = true;
    return this.next(async ({ messages, atEnd }) => {
      this.refreshing = false;
      const first = messages[0];
      if (first === undefined || (following && atEnd)) {
        const limit = Math.max(PAGE, Math.min(messages.length + 1, MOST));
        const newest = await this.client.messages(this.conversationId, { limit });
        return { messages: newest, atStart: newest.length < limit, atEnd: true };
      }
      const still = await this.client.message(first.id);
      const limit = messages.length + (atEnd ? PAGE : -1);
      const rest = limit > 0 ? await this.client.after(first, limit) : [];
      const [older] = await this.client.messages(this.conversationId, { limit: 1, before: first });
      return {
        messages: [...(still ? [still] : []), ...rest],
        atStart: older === undefined,
        atEnd: atEnd && rest.length < limit,
      };
    });
  }

  close(): void {
    this.over = true;
  }

  private next(step: (from: Stretch) => Promise<Stretch | undefined>): Promise<void> {
    const done = this.queue.then(async () => {
      if (this.over) return;
      const stretch = await step(this.stretch);
      if (stretch === undefined || this.over) return;
      this.stretch = stretch;
      this.onChange(stretch);
    });
    // A failed reading is told to who asked for it; the next one starts from what is there.
    this.queue = done.catch(() => {
      this.refreshing = false;
    });
    return done;
  }
}
