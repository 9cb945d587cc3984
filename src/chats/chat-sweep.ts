import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { Erasure } from '../changes/erasure.js';
import type { Database } from '../database/database.js';
import { Databases } from '../database/databases.js';
import { Hourly } from '../hourly.js';
import { LOG, type Log } from '../log.js';
import { ChatAccounts } from './chat-accounts.js';

const AT_ONCE = 1000;
const FAILURE = 'a conversation that has ended could not be cleared away';
/** Chats that nobody is in, nor invited to. */
const EMPTY = `SELECT chat_id FROM chat_members GROUP BY chat_id HAVING bool_and(state NOT IN ('accepted', 'invited'))`;

/**
 * Clears away chats that have ended. What was written in one goes at once. That it has ended, and who was in it, stays for
 * those who were away, until its tombstone has been forgotten as all tombstones are; then its account goes. So do accounts that
 * were to be chats when the server died.
 */
@Injectable()
export class ChatSweep implements BeforeApplicationShutdown {
  private stopping = false;

  constructor(
    private readonly databases: Databases,
    private readonly chats: ChatAccounts,
    private readonly erasure: Erasure,
    hourly: Hourly,
    @Inject(LOG) private readonly log: Log,
  ) {
    hourly.do(FAILURE, () => this.run(), { atStart: true });
  }

  beforeApplicationShutdown(): void {
    this.stopping = true;
  }

  /** Of all that nobody is in. */
  async run(): Promise<void> {
    for (const database of this.databases.all()) {
      const { rows: empty } = await database.pool.query<{ chat_id: string }>(EMPTY);
      for (const { chat_id } of empty) await this.clearContents(database, chat_id);
      const { rows: gone } = await database.pool.query<{ account_id: string }>(
        `WITH gone AS (
           DELETE FROM accounts a USING (${EMPTY}) e
           WHERE a.id = e.chat_id AND NOT EXISTS (
             SELECT FROM shared_rows r WHERE r.account_id = e.chat_id AND r.kind = 'chat' AND r.id = e.chat_id::text)
           RETURNING a.id)
         INSERT INTO erasures (account_id) SELECT id FROM gone RETURNING account_id`,
      );
      for (const { account_id } of gone) this.chats.forget(account_id);
      await this.erasure.erase(database, gone.map(({ account_id }) => account_id)); // prettier-ignore
      // Nothing was ever written to these, and nobody can get into them.
      await database.pool.query(
        `DELETE FROM accounts a WHERE a.seq = 0 AND a.created_at < now() - interval '1 hour' AND a.joined_into IS NULL
           AND NOT EXISTS (SELECT FROM logins l WHERE l.account_id = a.id)
           AND NOT EXISTS (SELECT FROM devices d WHERE d.account_id = a.id)
           AND NOT EXISTS (SELECT FROM chat_members m WHERE m.chat_id = a.id)`,
      );
    }
  }

  /** Should it fail, it is done again later. */
  async clear({ id, home }: AccountKey): Promise<void> {
    try {
      await this.clearContents(home.database, id);
    } catch (error) {
      this.log.warn({ err: error }, `${FAILURE}; trying again later`);
    }
  }

  /** Piece by piece, with those who were pointed to it. */
  private async clearContents({ pool }: Database, chat: string): Promise<void> {
    for (let more = true; more && !this.stopping;) {
      const { rows } = await pool.query<{ count: number }>(
        `WITH gone AS (
           DELETE FROM shared_rows WHERE (account_id, kind, id) IN (
             SELECT account_id, kind, id FROM shared_rows
             WHERE account_id = $1 AND kind IN ('chat.message', 'chat.reaction', 'chat.mark', 'chat.key') LIMIT ${AT_ONCE})
           RETURNING account_id, seq),
         unpointed AS (DELETE FROM pointers p USING gone g WHERE p.shared_id = g.account_id AND p.number = g.seq)
         SELECT count(*)::int AS count FROM gone`,
        [chat],
      );
      more = rows[0]!.count === AT_ONCE;
    }
  }
}
