import { Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import { relayError } from '../errors.js';
import { ChatEvents } from './chat.events.js';
import type { ChatMutation, Decided, Op, Operations, Reply } from './operation.js';

/** More than the members of any chat. Numbers that are not taken cost nothing. */
export const EVERYBODY = 10_010;

interface Told {
  /** How many rows it may change. */
  numbers?: number;
  /** The connection that caused it. */
  by?: string;
}

/** Hands operations in, and tells what came of them. */
@Injectable()
export class ChatOperations {
  constructor(
    private readonly changes: Changes,
    private readonly events: ChatEvents,
  ) {}

  /**
   * Resolves after the commit. `again`: it was so already. Throws the code of the refusal; for who is not in the chat, as for
   * one that is gone, that is `conversation_not_found`.
   */
  async do<O extends Op>(
    account: AccountKey,
    op: O,
    row: Operations[O],
    { numbers = 1, by }: Told = {},
  ): Promise<Reply & { again: boolean }> {
    const at = Date.now();
    const bytes = 256 + 2 * JSON.stringify(row).length;
    const mutation = { account, kind: 'chat', id: account.id, op, row, at, bytes, numbers } as ChatMutation;
    const outcome = (await this.changes.submit<Decided>([mutation]))[0]!;
    if (!('state' in outcome)) throw relayError(outcome.result === 'missing' ? 'conversation_not_found' : 'rejected');
    const { refused, facts = [], reply } = outcome.state;
    if (refused !== undefined) throw relayError(refused);
    for (const fact of facts) this.events.emit('chat.happened', fact, by);
    return { ...reply, again: outcome.result === 'duplicate' };
  }
}
