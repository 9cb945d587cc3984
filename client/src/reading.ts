import {
  ENVELOPE_PREFIX,
  STATE,
  type Change,
  type ChatChange,
  type ConversationRow,
  type DeviceRow,
  type MessageRow,
  type RecordRow,
  type SealedConversation,
  type SealedMessage,
  type SealedRecord,
  type StateRow,
} from '@pairline/protocol';
import { readFileReference } from './files/reference.js';
import type { Keyring } from './keys/index.js';
import type { ConversationRecord, MessageRecord, RecordRecord, StateRecord } from './store.js';
import type { Fault } from './types.js';

// From rows as the server tells them to records as they are kept: opened, and checked against what the server could
// have changed beside the envelope.

/** `phoneNumber`: what the server knows its number by. */
export type OpenedMessage = Omit<MessageRecord, 'round'> & { phoneNumber?: string };
export type OpenedConversation = Pick<ConversationRecord, 'id' | 'number' | 'name' | 'version' | 'fault'> & {
  row: ConversationRow;
};
export type OpenedState = Omit<StateRecord, 'round'>;
/** `origin`: the device that wrote it. */
export type OpenedRecord = Omit<RecordRecord, 'round'> & { origin: string };

/** The changes of a page, by kind. Of a row that stands in it twice, the last one. */
export interface OpenedPage {
  messages: OpenedMessage[];
  conversations: OpenedConversation[];
  devices: DeviceRow[];
  states: OpenedState[];
  records: OpenedRecord[];
  /** As they came: a part of the library that is loaded when there are any opens them. */
  chats: ChatChange[];
  gone: Record<(typeof TABLE)[keyof typeof TABLE], string[]>;
}

const TABLE = { message: 'messages', conversation: 'conversations', device: 'devices', state: 'states', record: 'records' } as const; // prettier-ignore
/** How many aliases are remembered: about the numbers that somebody writes with. */
const ALIASES = 10_000;

/** Opens the rows of one account. Without a keyring it takes them as they are. */
export class Reader {
  private readonly aliases = new Map<string, string>();
  /** Something came that only somebody with keys can read, and there are none here. */
  sawSealed = false;

  constructor(readonly keyring: Keyring | undefined) {}

  async page(changes: Change[]): Promise<OpenedPage> {
    const page = nothing();
    const last = new Map(changes.map((change) => [`${change.kind} ${change.id}`, change]));
    await Promise.all(
      [...last.values()].map(async (change) => {
        if (isOfChats(change)) return void page.chats.push(change);
        const { kind, row } = change;
        // A kind that came with a newer server.
        if (!Object.hasOwn(TABLE, kind)) return;
        if (change.op === 'delete' || row === undefined) page.gone[TABLE[kind]].push(change.id);
        else if (kind === 'message') page.messages.push({ ...(await this.message(row)), born: change.seq });
        else if (kind === 'conversation') page.conversations.push(await this.conversation(row));
        else if (kind === 'device') page.devices.push(row);
        else if (kind === 'state') page.states.push(await this.state(row));
        else page.records.push(await this.record(row));
      }),
    );
    return page;
  }

  async message(row: MessageRow): Promise<OpenedMessage> {
    const { id, conversationId, timestamp, type, status, read } = row;
    const visible = { id, conversationId, timestamp, type, read, ...(status === undefined ? {} : { status }) };
    if (this.keyring === undefined) {
      if (!this.isSealed(row.body)) return { ...visible, number: row.phoneNumber, text: row.body };
      return { ...visible, number: '', text: '', fault: 'no-key', row };
    }
    const opened = await this.keyring.open<SealedMessage>('message', id, row.body);
    if (!opened.ok) return { ...visible, number: '', text: '', ...faulty(opened.fault, row) };
    const sealed = opened.value;
    if (!isMessage(sealed) || sealed.type !== type || (await this.alias(sealed.number)) !== row.phoneNumber)
      return { ...visible, number: '', text: '', fault: 'tampered' };
    const { phoneNumber } = row;
    const content = { number: sealed.number, text: sealed.text, phoneNumber, ...filesOf(sealed) };
    // The server places what a browser wrote, by its own clock and by the number; the browser knew better.
    if (row.tempId !== undefined) {
      const place = sealed.conversationId === undefined ? { alias: phoneNumber } : { conversationId: sealed.conversationId }; // prettier-ignore
      return { ...visible, ...content, timestamp: sealed.timestamp, ...place };
    }
    if (sealed.conversationId !== conversationId || sealed.timestamp !== timestamp)
      return { ...visible, number: '', text: '', fault: 'tampered' };
    return { ...visible, ...content };
  }

  async conversation(row: ConversationRow): Promise<OpenedConversation> {
    const { id, phoneNumber, contactName } = row;
    if (this.keyring === undefined) {
      if (!this.isSealed(contactName) && !this.isSealed(row.lastMessage))
        return { id, row, number: phoneNumber, ...(contactName === undefined ? {} : { name: contactName }) };
      return { id, row, number: '', fault: 'no-key' };
    }
    // The phone tells no last message: what stands there is not from it.
    const known = { id, row: { ...row, lastMessage: undefined } };
    // One that a browser began: its messages say who it is with.
    if (contactName === undefined) return { ...known, number: '' };
    const opened = await this.keyring.open<SealedConversation>('conversation', id, contactName);
    if (!opened.ok) return { ...known, number: '', fault: opened.fault };
    const { value, epoch } = opened;
    if (!isConversation(value) || (await this.alias(value.number)) !== phoneNumber)
      return { ...known, number: '', fault: 'tampered' };
    const { number, name, version } = value;
    return { ...known, number, version: { epoch, version }, ...(name === undefined ? {} : { name }) };
  }

  async state(row: StateRow): Promise<OpenedState> {
    const { id, value } = row;
    // A device has made keys for the account.
    if (id === STATE.first) this.sawSealed = true;
    if (this.keyring === undefined) return { id, ...(this.isSealed(value) ? { row } : { value }) };
    const opened = await this.keyring.open<{ version?: unknown } | null>('state', id, value);
    if (!opened.ok) return { id, ...(opened.fault === 'no-key' ? { row } : {}) };
    const version = Number(opened.value?.version ?? 0);
    return { id, value: opened.value, version: { epoch: opened.epoch, version } };
  }

  async record(row: RecordRow): Promise<OpenedRecord> {
    const { id, table, data, clientDate, origin } = row;
    const closed = { id, table, origin };
    if (this.keyring === undefined) {
      if (this.isSealed(data)) return { ...closed, row };
      return {
        ...closed,
        data,
        version: { epoch: 0, version: Number(clientDate) || Date.parse(String(clientDate)) || 0 },
      };
    }
    const opened = await this.keyring.open<SealedRecord>('record', id, data);
    if (!opened.ok) return { ...closed, ...(opened.fault === 'no-key' ? { row } : {}) };
    const { value, epoch } = opened;
    if (!isRecord(value) || value.table !== table) return closed;
    return { ...closed, data: value.data, version: { epoch, version: value.version } };
  }

  /** What the server knows a number by: the number itself where nothing is encrypted. */
  async alias(number: string): Promise<string> {
    if (this.keyring === undefined) return number;
    const known = this.aliases.get(number);
    if (known !== undefined) return known;
    const alias = await this.keyring.alias(number);
    if (this.aliases.size >= ALIASES) this.aliases.clear();
    this.aliases.set(number, alias);
    return alias;
  }

  private isSealed(value: unknown): boolean {
    const sealed = typeof value === 'string' && value.startsWith(ENVELOPE_PREFIX);
    this.sawSealed ||= sealed;
    return sealed;
  }
}

export function nothing(): OpenedPage {
  const gone = { messages: [], conversations: [], devices: [], states: [], records: [] };
  return { messages: [], conversations: [], devices: [], states: [], records: [], chats: [], gone };
}

function isOfChats(change: Change): change is ChatChange {
  return change.kind.startsWith('chat') || change.kind === 'block';
}

function faulty(fault: Fault, row: MessageRow): Pick<MessageRecord, 'fault' | 'row' | 'unsealed'> {
  if (fault === 'no-key') return { fault, row };
  // Another door of the server's API brings such rows, and so can a server that lies: which of the two, nothing says.
  return fault === 'not-sealed' ? { fault, unsealed: row.body } : { fault };
}

// What is inside an envelope was written by a member of the account, who may have its own faults.

/** Those that are files. What is odd about one must not keep the text from being read. */
function filesOf({ files }: SealedMessage): Pick<MessageRecord, 'files'> {
  const read = Array.isArray(files) ? files.flatMap((file) => readFileReference(file) ?? []) : [];
  return read.length > 0 ? { files: read } : {};
}

export function isMessage(value: unknown): value is SealedMessage {
  const { number, text, type, timestamp, conversationId } = (value ?? {}) as Partial<SealedMessage>;
  return (
    typeof number === 'string' &&
    typeof text === 'string' &&
    (type === 'sent' || type === 'received') &&
    Number.isFinite(timestamp) &&
    (conversationId === undefined || typeof conversationId === 'string')
  );
}

function isConversation(value: unknown): value is SealedConversation {
  const { number, name, version } = (value ?? {}) as Partial<SealedConversation>;
  return (
    typeof number === 'string' && (name === undefined || typeof name === 'string') && Number.isSafeInteger(version)
  );
}

function isRecord(value: unknown): value is SealedRecord {
  const { table, version } = (value ?? {}) as Partial<SealedRecord>;
  return typeof table === 'string' && Number.isSafeInteger(version);
}
