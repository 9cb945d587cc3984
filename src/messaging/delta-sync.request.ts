import type { IncomingHttpHeaders } from 'node:http';
import type { Request } from 'express';
import { isDay } from '../calendar.js';
import type { Limits } from '../env.js';
import { relayError } from '../errors.js';

export interface DeltaConversation {
  id: string;
  name: string;
  /** ms since 1970. */
  updatedAt: number;
  deleted: boolean;
}

export interface DeltaMessage {
  id: string;
  /** A deleted one may leave it empty. */
  conversationId: string;
  content: string;
  /** ms since 1970. */
  updatedAt: number;
  deleted: boolean;
}

export interface DeltaRequest {
  /** The client's cursor; 0 for none. */
  after: number;
  /** Each row once, of either kind: the newest of what is said of it, and of two of the same date the later. */
  conversations: DeltaConversation[];
  messages: DeltaMessage[];
  /** Whether it writes dates as ISO 8601. */
  iso: boolean;
}

type Bounds = Pick<Limits, 'maxBatch' | 'maxTextLength'>;

const MAX_ID = 255;
const MAX_TIME = 8.64e15;
const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:?\d\d)?)?$/i;

/**
 * The body of `POST /api/sync` (wire.md, section D). Throws `bad_request`, `batch_too_large`, and for a row `row_invalid`
 * with its kind and index: `messages.3: updated_at …`.
 */
export function parseDeltaRequest({ body, headers }: Pick<Request, 'body' | 'headers'>, bounds: Bounds): DeltaRequest {
  // Of another type nobody has read it: to answer it like an empty one would lose what the client changed.
  if (body === undefined && hasBody(headers))
    throw relayError('bad_request', { detail: 'the body must be sent as application/json' });
  if (!isObject(body ?? {})) throw relayError('bad_request', { detail: 'the body must be an object' });
  const { last_sync_timestamp: after, client_changes: changes } = (body ?? {}) as Record<string, unknown>;
  if (after != null && !(Number.isSafeInteger(after) && (after as number) >= 0))
    throw relayError('bad_request', { detail: 'last_sync_timestamp must be what the last sync answered' });
  if (!isObject(changes ?? {})) throw relayError('bad_request', { detail: 'client_changes must be an object' });
  const lists = (changes ?? {}) as Record<string, unknown>;
  const conversations = rowsOf(lists, 'conversations', bounds);
  const messages = rowsOf(lists, 'messages', bounds);
  return {
    after: Number(after ?? 0),
    conversations: newest(conversations.map((row) => ({ ...row.common(), name: row.text('name') }))),
    messages: newest(
      messages.map((row) => ({
        ...row.common(),
        conversationId: row.id('conversation_id'),
        content: row.text('content'),
      })),
    ),
    iso: [...conversations, ...messages].some((row) => row.isIso),
  };
}

function hasBody({ 'content-length': length, 'transfer-encoding': encoding }: IncomingHttpHeaders): boolean {
  return encoding !== undefined || Number(length ?? 0) > 0;
}

function newest<Row extends Pick<DeltaMessage, 'id' | 'updatedAt'>>(rows: Row[]): Row[] {
  const kept = new Map<string, Row>();
  for (const row of rows) if (row.updatedAt >= (kept.get(row.id)?.updatedAt ?? 0)) kept.set(row.id, row);
  return [...kept.values()];
}

function rowsOf(lists: Record<string, unknown>, kind: string, bounds: Bounds): Row[] {
  const rows = lists[kind] ?? [];
  if (!Array.isArray(rows)) throw relayError('bad_request', { detail: `client_changes.${kind} must be a list` });
  if (rows.length > bounds.maxBatch) throw relayError('batch_too_large', { detail: kind });
  return rows.map((fields, i) => new Row(fields, `${kind}.${i}`, bounds));
}

/** A row as it came. A deleted one needs no more than its id and its date. */
class Row {
  private readonly fields: Record<string, unknown>;

  constructor(
    fields: unknown,
    private readonly place: string,
    private readonly bounds: Bounds,
  ) {
    if (!isObject(fields)) throw relayError('row_invalid', { detail: `${place} must be an object` });
    this.fields = fields;
  }

  get isIso(): boolean {
    return typeof this.fields.updated_at === 'string';
  }

  common(): { id: string; updatedAt: number; deleted: boolean } {
    return { id: this.id('id'), updatedAt: this.date(), deleted: this.deleted };
  }

  id(name: 'id' | 'conversation_id'): string {
    const value = this.fields[name];
    if (name !== 'id' && this.deleted && (value == null || value === '')) return '';
    // Postgres cannot store NUL, and a lone surrogate would come back as another character.
    const fits = typeof value === 'string' && value.isWellFormed() && !value.includes('\0');
    if (!fits || value.length === 0 || value.length > MAX_ID)
      throw this.wrong(`${name} must be a text of 1 to ${MAX_ID} characters`);
    return value;
  }

  text(name: 'name' | 'content'): string {
    const value = this.fields[name];
    if (this.deleted) return '';
    if (typeof value !== 'string' || value.length > this.bounds.maxTextLength)
      throw this.wrong(`${name} must be a text of at most ${this.bounds.maxTextLength} characters`);
    return value;
  }

  private get deleted(): boolean {
    const value = this.fields.is_deleted ?? 0;
    if (value === 0 || value === false) return false;
    if (value === 1 || value === true) return true;
    throw this.wrong('is_deleted must be 0 or 1');
  }

  private date(): number {
    const value = this.fields.updated_at;
    const time = typeof value === 'string' ? timeOf(value) : value;
    if (typeof time !== 'number' || !(time >= 0 && time <= MAX_TIME))
      throw this.wrong('updated_at must be milliseconds since 1970 or an ISO 8601 date');
    return Math.floor(time);
  }

  private wrong(what: string) {
    return relayError('row_invalid', { detail: `${this.place}: ${what}` });
  }
}

/** NaN when it is no date. One without a zone is in UTC, whatever zone this server is in. */
function timeOf(text: string): number {
  const [, day = '', time = '00:00', zone = 'Z'] = ISO.exec(text) ?? [];
  if (!isDay(day)) return NaN;
  return Date.parse(`${day}T${time}${zone.toUpperCase()}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
