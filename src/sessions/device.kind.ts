import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import type { ChangedRow, Kind, Mutation, Numbered, Outcome, StoredRow, Written } from '../changes/kind.js';
import { splice } from '../changes/reader.js';

/** What of a device is sealed. */
export interface DeviceContent {
  name: string;
  model?: string;
  /** What it calls itself, once a person has named it otherwise. */
  ownName?: string;
}

/** What a device tells of itself, or of it. */
export type DeviceLabel = Omit<DeviceContent, 'ownName'>;

/** `put` lets a browser in; `introduce` is a phone that comes back; `rename` and `revoke` are for any device. */
export type DeviceMutation =
  | Mutation<'put', { content: DeviceContent; pairedWith: string; expiresAt: Date }>
  | Mutation<'introduce', DeviceLabel>
  | Mutation<'rename', { name: string }>
  | Mutation<'revoke', null>;

interface Stored {
  seq: number;
  deleted: boolean;
  content: Buffer | null;
  fields: (string | null)[];
}

const FIELDS = ['kind::text', 'paired_with', '(extract(epoch FROM created_at) * 1000)::bigint::text'];

@Injectable()
export class DeviceKind implements Kind, OnModuleInit {
  readonly name = 'device';

  constructor(private readonly changes: Changes) {}

  onModuleInit(): void {
    this.changes.register(this);
  }

  /** Devices change a few times a year: one statement each is fine. */
  async write(client: ClientBase, items: Numbered[]): Promise<Written> {
    const written: Written = { outcomes: [], changed: [] };
    for (const item of items as Numbered<DeviceMutation>[]) {
      const old = await find(client, item);
      const outcome = await this.writeOne(client, item, old);
      written.outcomes.push(outcome);
      if (outcome.result === 'applied') written.changed.push(await this.changeOf(client, item));
    }
    return written;
  }

  private async writeOne(
    client: ClientBase,
    item: Numbered<DeviceMutation>,
    old: Stored | undefined,
  ): Promise<Outcome> {
    const { account, id, op, row, at } = item.mutation;
    if (op === 'put') {
      if (old !== undefined) return { result: old.deleted ? 'stale' : 'duplicate', seq: old.seq, state: null };
      await client.query(
        `INSERT INTO devices (account_id, id, seq, at, kind, paired_with, content, expires_at)
         VALUES ($1, $2, $3, $4, 'browser', $5, $6, $7)`,
        [account.id, id, item.seq, at, row.pairedWith, seal(account, id, row.content), row.expiresAt],
      );
    } else {
      if (old === undefined || old.deleted) return { result: 'missing' };
      if (op !== 'revoke') {
        const before = openDevice(account, id, old.content!);
        const content = op === 'rename' ? renamed(before, row.name) : introduced(before, row);
        if (JSON.stringify(content) === JSON.stringify(before))
          return { result: 'duplicate', seq: old.seq, state: null };
        await client.query('UPDATE devices SET seq = $3, at = $4, content = $5 WHERE account_id = $1 AND id = $2', [
          account.id,
          id,
          item.seq,
          at,
          seal(account, id, content),
        ]);
      } else {
        // A phone that was removed may come back as a new one: its name and its token are free again.
        await client.query(
          `UPDATE devices SET seq = $3, at = $4, deleted = true, content = NULL, phone_id = NULL, token_hash = NULL
           WHERE account_id = $1 AND id = $2`,
          [account.id, id, item.seq, at],
        );
      }
    }
    return { result: 'applied', seq: item.seq, state: null };
  }

  private async changeOf(client: ClientBase, item: Numbered<DeviceMutation>): Promise<ChangedRow> {
    const { account, id, at } = item.mutation;
    const { content, fields, deleted } = (await find(client, item))!;
    const row = () => (deleted ? null : this.view({ id, content, fields }, account));
    return { account: account.id, seq: item.seq, kind: this.name, id, at, row };
  }

  readonly table = 'devices';
  readonly fields = FIELDS;

  view({ id, content, fields }: Pick<StoredRow, 'id' | 'content' | 'fields'>, account: AccountKey): string {
    const [kind, pairedWith, createdAt] = fields;
    const paired = pairedWith === null ? '' : `,"pairedWith":${JSON.stringify(pairedWith)}`;
    const head = `{"id":${JSON.stringify(id)},"kind":"${kind}"${paired},"createdAt":${createdAt}}`;
    return splice(head, JSON.stringify(labelOf(openDevice(account, id, content!))));
  }
}

export function openDevice(account: AccountKey, id: string, content: Uint8Array): DeviceContent {
  return JSON.parse(account.open('device', id, Buffer.from(content))) as DeviceContent;
}

/** What others see. */
export function labelOf({ name, model }: DeviceContent): DeviceLabel {
  return { name, ...(model === undefined ? {} : { model }) };
}

function renamed({ ownName, ...before }: DeviceContent, name: string): DeviceContent {
  const own = ownName ?? before.name;
  return { ...before, name, ...(own === name ? {} : { ownName: own }) };
}

/** A name that a person gave stays until the device calls itself something new. */
function introduced(before: DeviceContent, told: DeviceLabel): DeviceContent {
  if (told.name !== before.ownName) return told;
  return { ...told, name: before.name, ownName: told.name };
}

export function seal(account: AccountKey, id: string, content: DeviceContent): Buffer {
  return account.seal('device', id, JSON.stringify(content));
}

async function find(client: ClientBase, { mutation }: Numbered<DeviceMutation>): Promise<Stored | undefined> {
  const { rows } = await client.query<[string, boolean, Buffer | null, ...(string | null)[]]>({
    text: `SELECT seq, deleted, content, ${FIELDS.join(', ')} FROM devices WHERE account_id = $1 AND id = $2`,
    values: [mutation.account.id, mutation.id],
    rowMode: 'array',
  });
  if (rows[0] === undefined) return undefined;
  const [seq, deleted, content, ...fields] = rows[0];
  return { seq: Number(seq), deleted, content, fields };
}
