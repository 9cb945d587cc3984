import { Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import { Cluster } from '../cluster/cluster.js';
import { Facts } from '../cluster/facts.js';
import { relayError } from '../errors.js';
import type { Session } from '../sessions/session.js';
import type { Refusal, StateMutation } from './state.kind.js';

/** Bytes of a value as JSON. */
const MAX_VALUE_BYTES = 262_144;

export interface StateFact {
  key: string;
  /** The value as JSON text; `null` for one that was deleted. */
  json: string;
  /** The device that wrote it. */
  deviceId: string;
  /** ms since 1970 */
  at: number;
}

/** After the commit, in the order of the commits; what was said again and changed nothing is told again too. */
export interface StateFacts {
  'state.written': [account: string, fact: StateFact];
}

/** What devices of an account keep together: each key has one JSON value, and the one that arrives last stands. */
@Injectable()
export class States {
  readonly events: Facts<StateFacts>;

  constructor(
    private readonly changes: Changes,
    cluster: Cluster,
  ) {
    this.events = new Facts(cluster, 'states');
  }

  /**
   * Resolves after the commit, with the number of the change; the same value again changes nothing. Throws
   * `payload_too_large` over 256 KiB, `state_full`, and with `ifAbsent` `state_exists` when there is a value.
   */
  async put(session: Session, key: string, value: unknown, ifAbsent = false): Promise<{ seq: number }> {
    const json = JSON.stringify(value);
    const bytes = Buffer.byteLength(json);
    if (bytes > MAX_VALUE_BYTES) throw relayError('payload_too_large', { detail: 'value' });
    const { account, deviceId } = session;
    const at = Date.now();
    const row = { json, ifAbsent };
    const reply = await this.submit({ account, kind: 'state', id: key, op: 'put', row, at, bytes: 256 + 2 * bytes });
    this.events.emit('state.written', account.id, { key, json, deviceId, at });
    return reply;
  }

  /** Resolves after the commit, with the number of the change. Throws `not_found`. */
  async delete({ account, deviceId }: Session, key: string): Promise<{ seq: number }> {
    const at = Date.now();
    const reply = await this.submit({ account, kind: 'state', id: key, op: 'delete', row: null, at, bytes: 128 });
    this.events.emit('state.written', account.id, { key, json: 'null', deviceId, at });
    return reply;
  }

  /** All of them, as the JSON text of one object: wire.md's `sessionData`. Throws `session_expired`. */
  async all(account: AccountKey): Promise<string> {
    const { rows } = await account.home.database.pool.query<[id: string | null, content: Buffer]>({
      name: 'states-all',
      text: `SELECT s.id, s.content FROM accounts a LEFT JOIN states s ON s.account_id = a.id AND NOT s.deleted
             WHERE a.id = $1 ORDER BY s.seq`,
      values: [account.id],
      rowMode: 'array',
    });
    if (rows.length === 0) throw relayError('session_expired');
    const fields = rows.flatMap(([id, content]) =>
      id === null ? [] : [`${JSON.stringify(id)}:${account.open('state', id, content)}`],
    );
    return `{${fields.join(',')}}`;
  }

  /** The same as the reply of `GET /api/session`. */
  async sessionData({ account }: Session): Promise<string> {
    return `{"sessionData":${await this.all(account)}}`;
  }

  private async submit(mutation: StateMutation): Promise<{ seq: number }> {
    const outcome = (await this.changes.submit<Refusal | null>([mutation]))[0]!;
    if (outcome.result === 'applied' || outcome.result === 'duplicate') return { seq: outcome.seq };
    if (outcome.result === 'stale') {
      if (outcome.state === 'exists') throw relayError('state_exists');
      throw relayError('state_full', { detail: outcome.state === 'keys' ? 'too many keys' : 'too many bytes' });
    }
    if (outcome.result === 'rejected') throw relayError('rejected');
    // Nothing to delete; or, for a put, no account.
    throw relayError(mutation.op === 'delete' ? 'not_found' : 'session_expired');
  }
}
