import type { AccountKey } from '../changes/account-key.js';
import type { Changes } from '../changes/changes.js';
import { chunkText, type Chunk } from '../changes/chunk.js';
import type { Feed } from '../changes/feed.js';

const PAGE = 500;

/** Where a follower's changes go. */
export interface Sink {
  /** Whether it can take more without waiting. */
  hasRoom(): boolean;
  /** `text` is the elements of a JSON array. Resolves when there is room for more. */
  write(text: string, cursor: number): void | Promise<void>;
  failed(error: unknown): void;
}

/**
 * Sends an account's changes from a cursor on, in order, without gaps: from the tables while it is behind, straight from
 * the commits once it has caught up. It never holds more than a page: a slow sink just stays behind.
 */
export class Follower {
  private pumping = false;
  private wanted = false;
  private ended = false;
  private readonly unfollow: () => void;

  constructor(
    private readonly changes: Changes,
    feed: Feed,
    private readonly account: AccountKey,
    private cursor: number,
    private readonly sink: Sink,
  ) {
    this.unfollow = feed.follow(account.id, (chunk) => this.hear(chunk));
    void this.pump();
  }

  end(): void {
    this.ended = true;
    this.unfollow();
  }

  private hear(chunk: Chunk): void {
    if (chunk.cursor <= this.cursor) return;
    // Caught up and idle: the commit is the next page.
    if (!this.pumping && chunk.rows !== undefined && chunk.after === this.cursor && this.sink.hasRoom()) {
      this.cursor = chunk.cursor;
      if (chunk.rows.length > 0) void this.sink.write(chunkText(chunk), chunk.cursor);
      return;
    }
    this.wanted = true;
    if (!this.pumping) void this.pump();
  }

  private async pump(): Promise<void> {
    this.pumping = true;
    try {
      do {
        this.wanted = false;
        const page = await this.changes.read(this.account, this.cursor, PAGE);
        if (this.ended) return;
        this.cursor = page.cursor;
        if (page.count > 0) await this.sink.write(page.text, page.cursor);
        this.wanted ||= page.more;
      } while (this.wanted && !this.ended);
    } catch (error) {
      this.end();
      this.sink.failed(error);
    } finally {
      this.pumping = false;
    }
  }
}
