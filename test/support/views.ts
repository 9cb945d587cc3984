import { toConversation, type Conversation, type ConversationRow } from '../../src/messaging/conversation.js';
import type { Message } from '../../src/messaging/message.js';
import { call, type Client } from './clients.js';
import { WsClient } from './ws.js';

// The views of section F of wire.md: what a client that replays changes ends up with, whichever way they came.

export interface Change {
  seq: number;
  kind: string;
  id: string;
  op: 'put' | 'delete';
  at: number;
  row?: any; // eslint-disable-line @typescript-eslint/no-explicit-any
}

export interface Page {
  changes: Change[];
  cursor: number;
  more?: boolean;
}

/** What a client keeps: the rows as the changes left them, and its cursor. Refuses changes that are out of order. */
export class View {
  /** In the order of their last change. */
  readonly rows = new Map<string, unknown>();
  /** The number of the last change seen. */
  seq = 0;
  cursor = 0;

  apply({ changes, cursor }: Page): void {
    for (const { seq, kind, id, op, row } of changes) {
      if (seq <= this.cursor) throw new Error(`Change ${seq} came behind the cursor ${this.cursor}`);
      if (seq <= this.seq) throw new Error(`Change ${seq} came after ${this.seq}`);
      this.seq = seq;
      this.rows.delete(`${kind}:${id}`);
      if (op === 'put') this.rows.set(`${kind}:${id}`, row);
    }
    if (cursor < this.seq || cursor < this.cursor) throw new Error(`The cursor went back to ${cursor}`);
    this.cursor = cursor;
  }

  /** One line a row: each row exactly as it was sent, so that two views can be compared to the byte. */
  lines(): string[] {
    return [...this.rows].map(([key, row]) => `${key} ${JSON.stringify(row)}`).sort();
  }

  /** All rows of a kind. */
  of<T>(kind: string): T[] {
    return [...this.rows].filter(([key]) => key.startsWith(`${kind}:`)).map(([, row]) => row as T);
  }
}

async function get(url: string, token: string, path: string): Promise<Page & { next?: number }> {
  const { status, body } = await call<Page>(url, path, { token });
  if (status !== 200) throw Object.assign(new Error(`${path} answered ${status}`), { status, body });
  return body;
}

/** Reads on by delta sync until there is no more. */
export async function byDelta(url: string, token: string, view: View, limit = 500): Promise<View> {
  for (let more = true; more;) {
    const page = await get(url, token, `/api/changes?after=${view.cursor}&limit=${limit}`);
    view.apply(page);
    more = page.more!;
  }
  return view;
}

/** Reads on by long polls until the view has seen `seq`. */
export async function byLongPoll(url: string, token: string, view: View, seq: number, limit = 500): Promise<View> {
  while (view.seq < seq) view.apply(await get(url, token, `/api/changes?after=${view.cursor}&limit=${limit}&wait=15`));
  return view;
}

/** Reads on by server-sent events until the view has seen `seq`. */
export async function byStream(url: string, token: string, view: View, seq: number): Promise<View> {
  if (view.seq >= seq) return view;
  const stream = await EventStream.open(url, token, { lastEventId: String(view.cursor) });
  try {
    await stream.until(() => stream.events.some(({ data }) => (data as Page).changes?.some((c) => c.seq >= seq)));
    for (const { data } of stream.events) view.apply(data as Page);
  } finally {
    stream.close();
  }
  return view;
}

/** Everything there is now: the pages of a snapshot, and what changed while it was read. */
export async function bySnapshot(url: string, token: string, limit = 500): Promise<View> {
  const view = new View();
  const first = await get(url, token, `/api/snapshot?limit=${limit}`);
  const rows = [...first.changes];
  for (let next = first.next; next !== undefined;) {
    const page = await get(url, token, `/api/snapshot?after=${next}&limit=${limit}`);
    rows.push(...page.changes);
    next = page.next;
  }
  for (const { kind, id, row } of rows) view.rows.set(`${kind}:${id}`, row);
  view.cursor = first.cursor;
  return byDelta(url, token, view);
}

/** The number of the account's newest change. */
export async function newest(url: string, token: string): Promise<number> {
  return (await byDelta(url, token, new View())).seq;
}

/** Keeps a view up to date with what a following client is sent; `failures` gathers what was out of order. */
export function keep(client: Client | WsClient, view: View, failures: unknown[] = []): View {
  const take = (event: string, page: Page) => {
    if (event !== 'changes') return;
    try {
      view.apply(page);
    } catch (error) {
      failures.push(error);
    }
  };
  // Before the client's own listeners, so that who waits for an event finds the view up to date.
  if (client instanceof WsClient)
    client.socket.prependListener('message', (text: Buffer) => {
      const { type, data } = JSON.parse(text.toString()) as { type: string; data: Page };
      take(type, data);
    });
  else client.socket.prependAny(take);
  return view;
}

/** A reader of server-sent events over plain fetch. */
export class EventStream {
  readonly events: { id?: string; event: string; data: unknown }[] = [];
  readonly comments: string[] = [];
  ended = false;
  private readonly watchers = new Set<() => void>();

  private constructor(
    readonly response: Response,
    private readonly gone: AbortController,
  ) {}

  static async open(
    url: string,
    token: string,
    { after, lastEventId }: { after?: number | string; lastEventId?: string } = {},
  ): Promise<EventStream> {
    const gone = new AbortController();
    const response = await fetch(`${url}/api/changes/stream${after === undefined ? '' : `?after=${after}`}`, {
      headers: {
        Authorization: `Bearer ${token}`,
        ...(lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId }),
      },
      signal: gone.signal,
    });
    const stream = new EventStream(response, gone);
    if (response.status === 200) void stream.read();
    return stream;
  }

  /** Resolves once `look` is true; looked at after each event. */
  until(look: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => finish(() => reject(new Error('The event never came'))), 20_000);
      const finish = (answer: () => void) => {
        clearTimeout(timer);
        this.watchers.delete(check);
        answer();
      };
      const check = () => {
        if (look()) finish(resolve);
      };
      this.watchers.add(check);
      check();
    });
  }

  close(): void {
    this.gone.abort();
  }

  private async read(): Promise<void> {
    let text = '';
    try {
      for await (const chunk of this.response.body!.pipeThrough(new TextDecoderStream())) {
        const blocks = (text + chunk).split('\n\n');
        text = blocks.pop()!;
        blocks.forEach((block) => this.take(block));
      }
    } catch (error) {
      if (!this.gone.signal.aborted) this.comments.push(`broken: ${String(error)}`);
    }
    this.ended = true;
    this.tell();
  }

  private take(block: string): void {
    const fields = new Map<string, string>();
    for (const line of block.split('\n')) {
      if (line.startsWith(':')) this.comments.push(line.slice(1).trim());
      else fields.set(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trimStart());
    }
    const data = fields.get('data');
    if (data !== undefined)
      this.events.push({ id: fields.get('id'), event: fields.get('event') ?? 'message', data: JSON.parse(data) });
    this.tell();
  }

  private tell(): void {
    for (const watcher of [...this.watchers]) watcher();
  }
}

/** What a client shows that keeps a view: the same as one that signs in by event is sent (see `ConversationRow`). */
export function shown(view: View): { conversations: Conversation[]; messages: Message[] } {
  const messages = view.of<Message>('message');
  const rows = new Map(view.of<ConversationRow>('conversation').map((row) => [row.id, row]));
  const conversations = [...rows.values()].map((row) => {
    const its = messages.filter(({ conversationId }) => conversationId === row.id);
    const last = its.reduce<Message | null>((a, b) => (a !== null && a.timestamp > b.timestamp ? a : b), null);
    const unread = its.filter(
      ({ type, read, timestamp }) => type === 'received' && !read && timestamp > row.countedUpTo,
    );
    return toConversation(row, { last, unread: unread.length });
  });
  const read = (message: Message) =>
    message.read || message.timestamp <= (rows.get(message.conversationId)?.readUpTo ?? 0);
  return { conversations, messages: messages.map((message) => ({ ...message, read: read(message) })) };
}
