import type { SealedRecord, SealedValue } from '@pairline/protocol';
import type { Access } from './access.js';
import { isOfApp, keepBooks, recordWish, type Books, type Touched } from './books.js';
import { isPassing } from './connection.js';
import { call } from './http.js';
import { newId } from './ids.js';
import { unlessGone } from './members.js';
import { nothing, type OpenedPage, type Reader } from './reading.js';
import type { OutboxRecord, RecordRecord, RowWish, StateRecord, Store, Writing } from './store.js';
import { ClientError, type AppRecord } from './types.js';
import type { Account } from './web-account.js';

/** Bytes of a value as JSON, as it goes to the server. */
const MAX_VALUE_BYTES = 262_144;
const SEALING_BYTES = 200;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const MAX_NAME = 255;

type Request = <Reply>(event: string, payload: unknown) => Promise<Reply>;

/** What apps keep in the account: values under names, and rows of tables. Both go out through the outbox. */
export class AppRows {
  constructor(
    private readonly url: string,
    private readonly store: Store,
    private readonly account: () => Account | undefined,
    /** Makes a change of this device's own; rejects with `not_paired` when nobody is signed in. */
    private readonly change: (work: (books: Books, tx: Writing) => Promise<void>) => Promise<void>,
    private readonly changed: (touched: Touched) => void,
    private readonly request: Request,
  ) {}

  async value(key: string): Promise<unknown> {
    const record = isOfApp(key) ? await this.store.read((tx) => tx.get('states', key)) : undefined;
    return record && valueOf(record);
  }

  async values(): Promise<Map<string, unknown>> {
    const records = await this.store.read((tx) => tx.all('states'));
    const values = records.filter(({ id }) => isOfApp(id)).map((record) => [record.id, valueOf(record)] as const);
    return new Map(values.filter(([, value]) => value !== undefined));
  }

  setValue(key: string, value: unknown): Promise<void> {
    return this.writeValue(key, { value });
  }

  deleteValue(key: string): Promise<void> {
    return this.writeValue(key, {});
  }

  async records(table: string): Promise<AppRecord[]> {
    const records = await this.store.read((tx) => tx.where('records', 'table', table));
    return records.flatMap((record) => shown(record) ?? []).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async record(id: string): Promise<AppRecord | undefined> {
    const record = await this.store.read((tx) => tx.get('records', id));
    return record && shown(record);
  }

  async putRecord(table: string, data: unknown, id: string = newId()): Promise<string> {
    check(UUID.test(id), 'The id of a record is a UUID');
    check(isName(table), `The name of a table has 1 to ${MAX_NAME} characters`);
    const content = { table, data: asJson(data) };
    await this.writeRecord(id, () => content);
    return id;
  }

  deleteRecord(id: string): Promise<void> {
    return this.writeRecord(id, (old) => old && { table: old.table });
  }

  /** For the outbox. Rejects with what passes; what is refused, or was late, gives way. */
  async tell(record: OutboxRecord, wish: RowWish): Promise<void> {
    const account = this.account();
    if (account === undefined) throw new ClientError('offline', 'Nobody is signed in any more');
    const stands = await this.send(wish, account).catch((error: unknown) => {
      if (!(error instanceof ClientError) || isPassing(error)) throw error;
      return false;
    });
    if (!stands) await this.giveWay(record, wish, account);
  }

  private async writeValue(key: string, content: { value?: unknown }): Promise<void> {
    check(isOfApp(key) && isName(key), `The name of a value has 1 to ${MAX_NAME} characters, and is not one of the client’s own`); // prettier-ignore
    const given = 'value' in content ? { value: asJson(content.value) } : {};
    const keyring = this.account()?.reader.keyring;
    const bytes = new TextEncoder().encode(JSON.stringify(given.value) ?? '').length;
    if (bytes > (keyring === undefined ? MAX_VALUE_BYTES : MAX_VALUE_BYTES * 0.75 - SEALING_BYTES))
      throw new ClientError('payload_too_large', 'The value is too large');
    await this.change(async (books, tx) => {
      await checkKeys(tx, keyring);
      const old = await tx.get('states', key);
      const version = Math.max(Date.now(), (old?.version?.version ?? 0) + 1);
      const { round } = (await tx.value('sync'))!;
      const sealed = keyring && { value: { ...given, version }, version: { epoch: keyring.epoch, version } };
      if ('value' in given) await tx.put('states', [{ id: key, ...given, ...sealed, round }]);
      else await tx.delete('states', [key]);
      await tx.put('outbox', [{ id: `value ${key}`, order: newId(), wish: { kind: 'value', key, ...given, version } }]);
      books.touched.values = true;
    });
  }

  /** `contentOf` answers what there is to be instead of what is there; undefined for nothing to do. */
  private writeRecord(
    id: string,
    contentOf: (old: RecordRecord | undefined) => { table: string; data?: unknown } | undefined,
  ): Promise<void> {
    return this.change(async (books, tx) => {
      const keyring = this.account()?.reader.keyring;
      await checkKeys(tx, keyring);
      const [old, waiting] = [await tx.get('records', id), (await tx.get('outbox', recordWish(id)))?.wish];
      const content = contentOf(old);
      if (content === undefined) return;
      // Later than what it takes the place of, whatever the clocks say.
      const before = Math.max(old?.version?.version ?? 0, waiting?.kind === 'record' ? waiting.version : 0);
      const version = Math.max(Date.now(), before + 1);
      const { round } = (await tx.value('sync'))!;
      await books.removeRecords([id]);
      if ('data' in content) await tx.put('records', [{ id, ...content, version: { epoch: keyring?.epoch ?? 0, version }, round }]); // prettier-ignore
      const wish = { kind: 'record' as const, recordId: id, ...content, version };
      await tx.put('outbox', [{ id: recordWish(id), order: newId(), wish }]);
      books.touchTable(content.table);
    });
  }

  /** False when something newer stands. */
  private async send(wish: RowWish, account: Account): Promise<boolean> {
    const sealed = await sealedOf(wish, account.reader);
    if (wish.kind === 'record') {
      const { recordId: rowguid, table: tablename, version: clientdate } = wish;
      const change = { rowguid, tablename, clientdate, ...('data' in wish ? { operation: 'U', rowData: sealed } : { operation: 'D' }) }; // prettier-ignore
      const { outdatedRowsGuid } = await this.post<{ outdatedRowsGuid: string[] }>('push', change, account.access);
      return !outdatedRowsGuid.includes(rowguid);
    }
    const { key } = wish;
    if ('value' in wish) await this.request('state:put', { key, value: sealed });
    else await this.request('state:delete', { key }).catch(unlessGone);
    return true;
  }

  /** Puts what the server has in place of what was written here, unless more has been written here since. */
  private async giveWay({ id, order }: OutboxRecord, wish: RowWish, account: Account): Promise<void> {
    for (let settled = false; !settled;) {
      const before = await this.store.read((tx) => tx.value('sync'));
      const page = await this.standing(wish, account);
      const touched = await keepBooks(this.store, async (books, tx) => {
        const sync = (await tx.value('sync'))!;
        // What came meanwhile may be newer than what was asked for.
        settled = sync.cursor === before?.cursor && sync.round === before.round;
        if (!settled || (await tx.get('outbox', id))?.order !== order) return;
        await tx.delete('outbox', [id]);
        if (wish.kind === 'value') await tx.delete('states', [wish.key]);
        else await books.removeRecords([wish.recordId]);
        await books.enter(page);
        if (wish.kind === 'value') books.touched.values = true;
      });
      this.changed(touched);
    }
  }

  private async standing(wish: RowWish, { reader, access, session }: Account): Promise<OpenedPage> {
    const page = nothing();
    if (wish.kind === 'value') {
      const { key } = wish;
      const { token } = session;
      const { sessionData } = await call<{ sessionData: Record<string, unknown> }>(this.url, '/api/session', { token });
      if (Object.hasOwn(sessionData, key)) page.states.push(await reader.state({ id: key, value: sessionData[key] }));
      return page;
    }
    // Announced as older than anything: the answer to a part of a pull is what stands of it, and nothing else.
    const announced = { operation: 'U', rowguid: wish.recordId, tablename: wish.table, clientdate: 0 };
    const { data } = await this.post<{ data: Pulled[] }>('pull', announced, access);
    for (const { operation, rowguid, tablename, rowData, clientdate, clientid } of data) {
      if (operation === 'D' || rowguid !== wish.recordId) continue;
      const row = { id: rowguid, table: tablename, data: rowData, clientDate: clientdate, origin: clientid };
      page.records.push(await reader.record(row));
    }
    return page;
  }

  /** Table sync (docs/table-sync.md) of one row, in the realm of the session. */
  private post<Reply>(route: 'push' | 'pull', change: object, access: Access): Promise<Reply> {
    const body = { lastSync: 0, isPartial: route === 'pull' ? 1 : 0, changes: [change] };
    const path = `/${route}/${encodeURIComponent(access.session.realm?.slug ?? 'default')}`;
    return access.use((token) => call<Reply>(this.url, path, { token, body }));
  }
}

interface Pulled {
  operation: string;
  rowguid: string;
  tablename: string;
  rowData: unknown;
  clientdate: number | string;
  clientid: string;
}

/** As it goes to the server: an envelope under the current epoch, or in the clear where nothing is encrypted. */
async function sealedOf(wish: RowWish, { keyring }: Reader): Promise<unknown> {
  if (wish.kind === 'value') {
    const { key, value, version } = wish;
    return keyring === undefined ? value : keyring.seal('state', key, { value, version } satisfies SealedValue);
  }
  const { recordId, table, data, version } = wish;
  return keyring === undefined
    ? data
    : keyring.seal('record', recordId, { table, data, version } satisfies SealedRecord);
}

function valueOf({ value, version }: StateRecord): unknown {
  return version === undefined ? value : (value as Partial<SealedValue> | null)?.value;
}

function shown(record: RecordRecord): AppRecord | undefined {
  const { id, table } = record;
  return 'data' in record ? { id, table, data: record.data } : undefined;
}

/** Nothing goes out in the clear where others have keys. */
async function checkKeys(tx: Writing, keyring: Reader['keyring']): Promise<void> {
  if (keyring === undefined && (await tx.value('sync'))?.sealed)
    throw new ClientError('no_keys', 'This account is end-to-end encrypted, and its keys are not on this device');
}

/** A copy of what JSON says of it. */
function asJson(value: unknown): unknown {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new ClientError('bad_request', 'There is nothing that JSON could say');
  return JSON.parse(text);
}

/** Postgres stores neither NUL nor half a character. */
function isName(name: string): boolean {
  return name.length > 0 && name.length <= MAX_NAME && !name.includes('\0') && !/\p{Surrogate}/u.test(name);
}

function check(fits: boolean, sentence: string): void {
  if (!fits) throw new ClientError('bad_request', sentence);
}
