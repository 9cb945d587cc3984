import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import type { ChangedRow } from '../changes/chunk.js';
import type { Kind, Mutation, Numbered, Outcome, StoredRow, Written } from '../changes/kind.js';
import { splice } from '../changes/splice.js';

/** What of a device is sealed. */
export interface DeviceContent {
  name: string;
  model?: string;
  /** What it calls itself, once a person has named it otherwise. */
  ownName?: string;
  /** What a device that signed in says of its kind: `web`, `desktop`, … */
  type?: string;
  /** What else it says of itself, for the others of its account. */
  metadata?: Record<string, unknown>;
}

/** What a device tells of itself, or of it. */
export type DeviceLabel = Omit<DeviceContent, 'ownName'>;

/**
 * `put` lets a browser in that a phone vouches for; `signIn` one whose person signed in, again too; `introduce` is a device
 * that comes back and tells of itself; `rename` and `revoke` are for any device, `revoke` with `expiredBefore` only for one whose
 * session has been over since then.
 */
export type DeviceMutation =
  | Mutation<'put', { content: DeviceContent; pairedWith: string; expiresAt: Date }>
  | Mutation<'signIn', { content: DeviceLabel; expiresAt: Date }>
  | Mutation<'introduce', DeviceLabel>
  | Mutation<'rename', { name: string }>
  | Mutation<'revoke', RevokeRow>;

type RevokeRow = { expiredBefore: Date } | null;

/** What `signIn` needs to know of the device. Null for all else. */
export type DeviceState = { generation: number; phoneId: string } | null;

interface Stored {
  seq: number;
  deleted: boolean;
  generation: number;
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
  ): Promise<Outcome<DeviceState>> {
    const { account, id, op, row, at } = item.mutation;
    if (op === 'signIn') return this.signIn(client, item as Numbered<Mutation<'signIn', SignInRow>>, old);
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
        const { rowCount } = await client.query(
          `UPDATE devices SET seq = $3, at = $4, deleted = true, content = NULL, phone_id = NULL, token_hash = NULL
           WHERE account_id = $1 AND id = $2 AND ($5::timestamptz IS NULL OR expires_at < $5)`,
          [account.id, id, item.seq, at, row?.expiredBefore],
        );
        // It signed in again meanwhile.
        if (rowCount === 0) return { result: 'stale', seq: old.seq, state: null };
        await client.query('DELETE FROM refresh_tokens WHERE account_id = $1 AND device_id = $2', [account.id, id]);
      }
    }
    return { result: 'applied', seq: item.seq, state: null };
  }

  /** The same device again is the same row; a removed one comes back, without the tokens that it had. */
  private async signIn(
    client: ClientBase,
    item: Numbered<Mutation<'signIn', SignInRow>>,
    old: Stored | undefined,
  ): Promise<Outcome<DeviceState>> {
    const { account, id, row, at } = item.mutation;
    const [kind, pairedWith] = old?.fields ?? [];
    // A phone's id is a phone's, whoever presents it.
    if (kind === 'phone') return { result: 'stale', seq: old!.seq, state: null };
    const before = old?.content == null ? undefined : openDevice(account, id, old.content);
    const content = before === undefined ? row.content : introduced(before, row.content);
    const generation = (old?.generation ?? 0) + (old?.deleted ? 1 : 0);
    const state = { generation, phoneId: old?.deleted ? '' : (pairedWith ?? '') };
    const same = before !== undefined && JSON.stringify(content) === JSON.stringify(before);
    const seq = same ? old!.seq : item.seq;
    await client.query(
      `INSERT INTO devices (account_id, id, seq, at, kind, content, expires_at) VALUES ($1, $2, $3, $4, 'browser', $5, $6)
       ON CONFLICT (account_id, id) DO UPDATE SET seq = excluded.seq, at = CASE WHEN $7 THEN devices.at ELSE excluded.at END,
         content = excluded.content, expires_at = greatest(devices.expires_at, excluded.expires_at), generation = $8,
         paired_with = CASE WHEN devices.deleted THEN NULL ELSE devices.paired_with END, deleted = false`,
      [account.id, id, seq, at, seal(account, id, content), row.expiresAt, same, generation],
    );
    return { result: same ? 'duplicate' : 'applied', seq, state };
  }

  private async changeOf(client: ClientBase, item: Numbered<DeviceMutation>): Promise<ChangedRow> {
    const { account, id, at } = item.mutation;
    const { content, fields, deleted } = (await find(client, item))!;
    const row = () => (deleted ? null : this.view({ id, content, fields }, account));
    return { account: account.id, seq: item.seq, kind: this.name, id, at, row };
  }

  readonly table = 'devices';
  readonly fields = FIELDS;
  // Who signs in again under its id goes on counting its generations, for as long as there may be tokens of earlier ones.
  readonly purgeable = '(expires_at IS NULL OR expires_at < now())';

  view({ id, content, fields }: Pick<StoredRow, 'id' | 'content' | 'fields'>, account: AccountKey): string {
    const [kind, pairedWith, createdAt] = fields;
    const paired = pairedWith === null ? '' : `,"pairedWith":${JSON.stringify(pairedWith)}`;
    const head = `{"id":${JSON.stringify(id)},"kind":"${kind}"${paired},"createdAt":${createdAt}}`;
    return splice(head, JSON.stringify(labelOf(openDevice(account, id, content!))));
  }
}

type SignInRow = { content: DeviceLabel; expiresAt: Date };

export function openDevice(account: AccountKey, id: string, content: Uint8Array): DeviceContent {
  return JSON.parse(account.open('device', id, Buffer.from(content))) as DeviceContent;
}

/** What others see. */
export function labelOf({ ownName: _ownName, ...label }: DeviceContent): DeviceLabel {
  return label;
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
  const { rows } = await client.query<[string, boolean, number, Buffer | null, ...(string | null)[]]>({
    text: `SELECT seq, deleted, generation, content, ${FIELDS.join(', ')} FROM devices WHERE account_id = $1 AND id = $2`,
    values: [mutation.account.id, mutation.id],
    rowMode: 'array',
  });
  if (rows[0] === undefined) return undefined;
  const [seq, deleted, generation, content, ...fields] = rows[0];
  return { seq: Number(seq), deleted, generation, content, fields };
}
