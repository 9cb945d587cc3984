import { isTooDeep } from '../depth.js';
import { relayError } from '../errors.js';
import { readClientDate, type ClientDate } from './client-date.js';

// What existing clients send (wire.md, section C), in the names they send it by. Read by hand: a bad row is named by its
// place, and rows may be deeper than anything else that comes as JSON.

const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const OPERATIONS = new Map([['I', 'I'], ['U', 'U'], ['D', 'D'], ['INSERT', 'I'], ['UPDATE', 'U'], ['DELETE', 'D']]); // prettier-ignore
const MAX_TABLE_NAME = 255;
/** Objects and lists in each other, in one row. */
const MAX_ROW_DEPTH = 32;

export interface AnnouncedChange {
  guid: string;
  date: ClientDate;
}

export interface PushedChange extends AnnouncedChange {
  table: string;
  /** The row as JSON text; null for a deletion. */
  json: string | null;
}

export interface SyncRequest<Change> {
  /** The account's change number up to which the client knows all; 0 for nothing. */
  lastSync: number;
  /** More parts follow. */
  isPartial: boolean;
  /** Each row once: the newest of what was said of it, and of two of the same date the later. */
  changes: Change[];
}

interface Bounds {
  /** The device that asks, and the client that the path names. */
  deviceId: string;
  clientId: string | undefined;
  maxBatch: number;
}

/** Throws `bad_request`, `batch_too_large`, `row_invalid`. */
export function readPull(body: unknown, bounds: Bounds): SyncRequest<AnnouncedChange> {
  return readRequest(body, bounds, readAnnounced);
}

/** Throws `bad_request`, `batch_too_large`, `row_invalid`. */
export function readPush(body: unknown, bounds: Bounds): SyncRequest<PushedChange> {
  return readRequest(body, bounds, readPushed);
}

/**
 * Whoever asks is the client that their token is of. Existing clients send their own id besides: another one is a mistake
 * (or an attempt), and refused as `bad_request`.
 */
export function checkClient(body: unknown, { deviceId, clientId }: Omit<Bounds, 'maxBatch'>): void {
  const named = asObject(body).clientId ?? deviceId;
  for (const id of [named, clientId ?? deviceId])
    if (id !== deviceId) throw relayError('bad_request', { detail: 'clientId is not the client that signed in' });
}

function readRequest<Change extends AnnouncedChange>(
  body: unknown,
  bounds: Bounds,
  read: (change: Fields, place: string) => Change,
): SyncRequest<Change> {
  checkClient(body, bounds);
  const { lastSync, lastSyncTime, isPartial, changes: given = [] } = asObject(body);
  const listed = given ?? [];
  if (!Array.isArray(listed)) throw relayError('bad_request', { detail: 'changes must be a list' });
  if (listed.length > bounds.maxBatch)
    throw relayError('batch_too_large', { detail: `changes may be ${bounds.maxBatch} at most` });
  const changes = new Map<string, Change>();
  listed.forEach((item: unknown, i) => {
    const place = `changes.${i}`;
    if (typeof item !== 'object' || item === null) throw relayError('row_invalid', { detail: `${place} is no object` });
    const change = read(item as Fields, place);
    const earlier = changes.get(change.guid);
    if (earlier === undefined || change.date.ms >= earlier.date.ms) changes.set(change.guid, change);
  });
  return {
    lastSync: readCursor(lastSync ?? lastSyncTime),
    isPartial: [1, '1', true, 'true'].includes(isPartial as number),
    changes: [...changes.values()],
  };
}

type Fields = Record<string, unknown>;

function asObject(body: unknown): Fields {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Fields;
  throw relayError('bad_request', { detail: 'the body must be an object' });
}

function readCursor(value: unknown): number {
  const cursor = typeof value === 'string' ? Number(value) : (value ?? 0);
  if (!Number.isSafeInteger(cursor) || (cursor as number) < 0)
    throw relayError('bad_request', { detail: 'lastSync must be what the server answered before, or 0' });
  return cursor as number;
}

function readAnnounced({ rowguid, data, clientdate }: Fields, place: string): AnnouncedChange {
  const guid = rowguid ?? (data as Fields | null | undefined)?.guid;
  if (typeof guid !== 'string' || !GUID.test(guid))
    throw relayError('row_invalid', { detail: `${place}: rowguid is not a UUID` });
  const date = readClientDate(clientdate);
  if (date === undefined)
    throw relayError('row_invalid', { detail: `${place}: clientdate is neither ms since 1970 nor ISO 8601` });
  return { guid, date };
}

function readPushed(fields: Fields, place: string): PushedChange {
  const announced = readAnnounced(fields, place);
  const { operation, tablename, table = tablename, rowData, data } = fields;
  const op = typeof operation === 'string' ? OPERATIONS.get(operation.toUpperCase()) : undefined;
  if (op === undefined) throw relayError('row_invalid', { detail: `${place}: operation must be I, U or D` });
  if (!isTableName(table))
    throw relayError('row_invalid', { detail: `${place}: tablename must be 1 to ${MAX_TABLE_NAME} characters` });
  if (op === 'D') return { ...announced, table, json: null };
  const row = rowData === undefined ? data : rowData;
  if (row === undefined) throw relayError('row_invalid', { detail: `${place}: rowData is missing` });
  if (isTooDeep(row, MAX_ROW_DEPTH))
    throw relayError('row_invalid', { detail: `${place}: rowData is nested too deeply` });
  return { ...announced, table, json: JSON.stringify(row) };
}

/** Postgres stores neither NUL nor half a character. */
function isTableName(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_TABLE_NAME && value.isWellFormed() && !value.includes('\0'); // prettier-ignore
}
