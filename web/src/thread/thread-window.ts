/** Where a thread is read from; all oldest first. */
export interface Source<M extends Placed> {
  newest(limit: number): Promise<M[]>;
  before(message: M, limit: number): Promise<M[]>;
  after(message: M, limit: number): Promise<M[]>;
  around(id: string, limit: number): Promise<M[]>;
  message(id: string): Promise<M | undefined>;
  /** Calls whenever something of the thread changed. */
  onChange(changed: () => void): () => void;
}

export interface Placed {
  id: string;
  /** ms since 1970 */
  timestamp: number;
}

const PAGE = 50;
/** More messages than this are never in the page at once; what leaves at one end is read again when it comes back. */
const MOST = 200;

/** What is shown of a conversation: a stretch of its messages, oldest first. */
export interface Stretch<M extends Placed> {
  messages: readonly M[];
  /** Nothing older, or newer, exists. */
  atStart: boolean;
  atEnd: boolean;
}

/**
 * A window on a conversation of any length, moved by pages. Its readings happen one after the other, so that none works on
 * what another is about to replace.
 */
export class ThreadWindow<M extends Placed> {
  private stretch: Stretch<M> = { messages: [], atStart: false, atEnd: false };
  private queue: Promise<unknown> = Promise.resolve();
  private refreshing = false;
  private over = false;

  constructor(
    private readonly source: Source<M>,
    /** Called with each new stretch. */
    private readonly onChange: (stretch: Stretch<M>) => void,
  ) {}

  openNewest(): Promise<void> {
    return this.next(async () => {
      const messages = await this.source.newest(PAGE);
      return { messages, atStart: messages.length < PAGE, atEnd: true };
    });
  }

  openAround(messageId: string): Promise<void> {
    return this.next(async () => {
      const messages = await this.source.around(messageId, PAGE);
      if (messages.length > 0) return { messages, atStart: false, atEnd: false };
      const newest = await this.source.newest(PAGE);
      return { messages: newest, atStart: newest.length < PAGE, atEnd: true };
    });
  }

  older(): Promise<void> {
    return this.next(async ({ messages, atStart, atEnd }) => {
      const first = messages[0];
      if (atStart || first === undefined) return undefined;
      const before = await this.source.before(first, PAGE);
      const all = [...before, ...messages];
      return { messages: all.slice(0, MOST), atStart: before.length < PAGE, atEnd: atEnd && all.length <= MOST };
    });
  }

  newer(): Promise<void> {
    return this.next(async ({ messages, atStart, atEnd }) => {
      const last = messages.at(-1);
      if (atEnd || last === undefined) return undefined;
      const after = await this.source.after(last, PAGE);
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
        const newest = await this.source.newest(limit);
        return { messages: newest, atStart: newest.length < limit, atEnd: true };
      }
      const still = await this.source.message(first.id);
      const limit = messages.length + (atEnd ? PAGE : -1);
      const rest = limit > 0 ? await this.source.after(first, limit) : [];
      const [older] = await this.source.before(first, 1);
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

  private next(step: (from: Stretch<M>) => Promise<Stretch<M> | undefined>): Promise<void> {
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
