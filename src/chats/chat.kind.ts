import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { ClientBase } from 'pg';
import { AccountKeys } from '../changes/account-keys.js';
import { Changes } from '../changes/changes.js';
import type { Outcome, Writer, Written } from '../changes/kind.js';
import { ENV, type BootEnv } from '../env.js';
import { fileRemovals } from './chat-files.js';
import { load, type Item } from './chat-load.js';
import { store } from './chat-store.js';
import { decide } from './decide.js';
import type { Bounds, Decided, Decision } from './operation.js';

/**
 * All that happens in chats. A mutation's account is the chat's; its chats are loaded once a batch, its operations are decided
 * one after the other, and what came of them is stored and shared at once.
 */
@Injectable()
export class ChatKind implements Writer, OnModuleInit {
  readonly name = 'chat';
  readonly supersedes = true;
  private readonly bounds: Bounds;

  constructor(
    private readonly changes: Changes,
    private readonly keys: AccountKeys,
    @Inject(ENV) { limits }: BootEnv,
  ) {
    this.bounds = limits;
  }

  onModuleInit(): void {
    this.changes.registerShared(this);
  }

  async write(client: ClientBase, items: Item[]): Promise<Written<Decided>> {
    const chats = await load(client, items);
    const decided = items.map(({ mutation, seq }) => {
      const chat = chats.get(mutation.account.id)!;
      chat.begin(seq, mutation.numbers ?? 1, mutation.at);
      return { mutation, seq, decision: decide(chat, mutation, this.bounds) };
    });
    const shared = await store(client, [...chats.values()]);
    const following = await fileRemovals(client, this.keys, decided);
    return { outcomes: decided.map(toOutcome), changed: [], shared, following };
  }
}

function toOutcome({ seq, decision }: { seq: number; decision: Decision }): Outcome<Decided> {
  if ('refused' in decision) return { result: 'stale', seq, state: decision };
  return { result: decision.unchanged ? 'duplicate' : 'applied', seq, state: decision };
}
