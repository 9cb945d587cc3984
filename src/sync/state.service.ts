import { Injectable } from '@nestjs/common';
import { Changes } from '../changes/changes.js';
import { relayError } from '../errors.js';
import type { Session } from '../sessions/session.js';
import type { Refusal, StateMutation } from './state.kind.js';

/** Bytes of a value as JSON. */
const MAX_VALUE_BYTES = 262_144;

/** What devices of an account keep together: each key has one JSON value, and the one that arrives last stands. */
@Injectable()
export class States {
  constructor(private readonly changes: Changes) {}

  /**
   * Resolves after the commit, with the number of the change; the same value again changes nothing. Throws
   * `payload_too_large` over 256 KiB, `state_full`, and with `ifAbsent` `state_exists` when there is a value.
   */
  async put(session: Session, key: string, value: unknown, ifAbsent: boolean): Promise<{ seq: number }> {
    const json = JSON.stringify(value);
    const bytes = Buffer.byteLength(json);
    if (bytes > MAX_VALUE_BYTES) throw relayError('payload_too_large', { detail: 'value' });
    const { account } = session;
    return this.submit({
      account,
      kind: 'state',
      id: key,
      op: 'put',
      row: { json, ifAbsent },
      at: Date.now(),
      bytes: 256 + 2 * bytes,
    });
  }

  /** Resolves after the commit, with the number of the change. Throws `not_found`. */
  async delete({ account }: Session, key: string): Promise<{ seq: number }> {
    return this.submit({ account, kind: 'state', id: key, op: 'delete', row: null, at: Date.now(), bytes: 128 });
  }

  private async submit(mutation: StateMutation): Promise<{ seq: number }> {
    const outcome = (await this.changes.submit<Refusal | null>([mutation]))[0]!;
    if (outcome.result === 'applied' || outcome.result === 'duplicate') return { seq: outcome.seq };
    if (outcome.result === 'stale') throw relayError(outcome.state === 'full' ? 'state_full' : 'state_exists');
    if (outcome.result === 'rejected') throw relayError('rejected');
    // Nothing to delete; or, for a put, no account.
    throw relayError(mutation.op === 'delete' ? 'not_found' : 'session_expired');
  }
}
