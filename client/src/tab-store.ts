import { MemoryStore, type Change } from './memory-store.js';
import { freshSync } from './sync.js';

/** What is nowhere else: what was written, and whose keys are trusted. */
const KEPT = new Set(['outbox', 'drafts', 'people']);

/** Until the tab closes: the rows in memory, what must survive a reload in the tab's own storage. */
export class TabStore extends MemoryStore {
  constructor(private readonly key: string) {
    super();
  }

  override async open(): Promise<void> {
    this.apply(JSON.parse(sessionStorage.getItem(this.key) ?? '[]') as Change[]);
    const { sync } = this.values;
    // The rows are gone: they are read again.
    if (sync !== undefined)
      this.apply([{ set: 'sync', value: { ...freshSync(sync.accountId), waiting: this.countWaiting() } }]);
  }

  /** What was kept of the messages is with nobody else: waiting, or failed. */
  private countWaiting(): number {
    return [...this.tables.messages.values()].filter(({ status }) => status === 'waiting').length;
  }

  protected override async keep(): Promise<void> {
    // What only this device knows: what was written and is not with the server.
    const own = [...this.tables.messages.values()].filter(({ born }) => born === undefined);
    const ids = new Set(own.map(({ id }) => id));
    const conversations = [...this.tables.conversations.values()].filter(({ last }) => ids.has(last?.id ?? ''));
    const bare = conversations.map((conversation) => ({ ...conversation, row: undefined, unread: 0 }));
    const kept = this.everything().filter((change) => 'set' in change || ('put' in change && KEPT.has(change.put)));
    const posts = [...this.tables.chatMessages.values()].filter(({ state }) => state !== undefined);
    const changes: Change[] = [
      ...kept,
      { put: 'messages', records: own },
      { put: 'conversations', records: bare },
      { put: 'chatMessages', records: posts },
    ];
    if (this.values.session === undefined && own.length + posts.length === 0) sessionStorage.removeItem(this.key);
    else sessionStorage.setItem(this.key, JSON.stringify(changes));
  }
}
