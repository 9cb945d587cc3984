import {
  STATE,
  type ContactsValue,
  type PhoneConversation,
  type PhoneMessage,
  type SealedConversation,
  type SealedMessage,
} from '@pairline/protocol';
import { batches, tellParts } from './batches.js';
import type { Connection } from './connection.js';
import { unlessGone } from './members.js';
import type { PhoneAccount } from './phone-account.js';
import type { PhoneIdentity } from './phone-identity.js';
import { ClientError, type Contact, type ToldConversation, type ToldMessage } from './types.js';
import { Turns } from './waiting.js';

/** Of the address book, in one state row: UTF-8, before it is sealed. */
const CONTACTS_BYTES = 128 * 1024;

/** What the phone tells of itself: sealed when it goes, in batches, until the server has it on disk. */
export class Telling {
  /** One batch on its way at a time: what is asked for meanwhile comes between the batches of a long call. */
  private readonly lane = new Turns();
  /** Conversations as they were told last: telling the same again changes nothing. */
  private readonly told = new Map<string, { key: string; contactName: string }>();

  constructor(
    private readonly connection: Connection,
    private readonly identity: PhoneIdentity,
    private readonly account: Promise<PhoneAccount>,
  ) {}

  async conversations(conversations: ToldConversation[]): Promise<void> {
    await this.tellAll('mobile:conversations', conversations, async (part) => {
      const { version } = this.identity.is;
      const rows = await Promise.all(part.map((conversation) => this.conversationRow(conversation)));
      // No version is given twice, also after a restart.
      if (this.identity.is.version !== version) await this.identity.keep();
      return { conversations: rows };
    });
  }

  async messages(messages: ToldMessage[]): Promise<void> {
    await this.tellAll('mobile:messages', messages, async (part) => ({
      messages: await Promise.all(part.map((message) => this.messageRow(message))),
    }));
  }

  async contacts(contacts: Contact[]): Promise<void> {
    const { identity } = this;
    const pieces = piecesOf(contacts);
    for (const [i, piece] of pieces.entries()) {
      const digest = await digestOf(piece);
      if (identity.is.contacts[i] === digest) continue;
      const key = STATE.contacts(i);
      const value: ContactsValue = { contacts: piece, version: identity.nextVersion() };
      await identity.keep();
      await this.tell('state:put', async () => ({ key, value: await this.seal('state', key, value) }));
      identity.change({ contacts: Object.assign([...identity.is.contacts], { [i]: digest }) });
    }
    for (let i = pieces.length; i < identity.is.contacts.length; i++)
      await this.tell('state:delete', async () => ({ key: STATE.contacts(i) })).catch(unlessGone);
    identity.change({ contacts: identity.is.contacts.slice(0, pieces.length) });
    await identity.keep();
  }

  async status(messageId: string, status: 'sending' | 'sent' | 'delivered' | 'failed'): Promise<void> {
    await this.tell('mobile:message-status', async () => ({ messageId, status }));
  }

  async deleted(messageId: string): Promise<void> {
    await this.tell('message:deleted', async () => ({ messageId }));
  }

  private tell(event: string, payload: () => Promise<unknown>): Promise<object> {
    return this.lane.take(() => this.connection.deliver(event, payload));
  }

  /** Tells rows in batches, each sealed when it goes. */
  private async tellAll<T extends { id: string }>(
    event: string,
    rows: T[],
    payload: (part: T[]) => Promise<object>,
  ): Promise<void> {
    const refused: { row: T; error: ClientError }[] = [];
    for (const batch of batches(rows))
      refused.push(...(await tellParts(batch, (part) => this.tell(event, () => payload(part)))));
    const [first] = refused;
    if (first === undefined) return;
    const { code, message } = first.error;
    throw new ClientError(code, `${refused.length} of ${rows.length} were refused, ${first.row.id} first: ${message}`);
  }

  private async conversationRow(conversation: ToldConversation): Promise<PhoneConversation> {
    const { id, number, name, lastTime, unread } = conversation;
    const { reader } = await this.account;
    return {
      id,
      phoneNumber: await reader.alias(number),
      contactName: await this.sealedName(id, number, name),
      ...(lastTime === undefined ? {} : { lastMessageTime: lastTime }),
      ...(unread === undefined ? {} : { unreadCount: unread }),
    };
  }

  private async messageRow(message: ToldMessage): Promise<PhoneMessage> {
    const { reader } = await this.account;
    const { id, conversationId, number, text, files, timestamp, type, status, read = type === 'sent' } = message;
    const content: SealedMessage = { number, text, type, timestamp, conversationId, ...(files?.length && { files }) };
    const body = await this.seal('message', id, content);
    const row = { id, conversationId, phoneNumber: await reader.alias(number), body, timestamp, type, read };
    return status === undefined ? row : { ...row, status };
  }

  /** The sealed part of a conversation; the same again as long as it says the same. */
  private async sealedName(id: string, number: string, name: string | undefined): Promise<string> {
    const { keyring } = await this.account;
    const key = JSON.stringify([keyring.epoch, number, name]);
    const told = this.told.get(id);
    if (told?.key === key) return told.contactName;
    const content: SealedConversation = {
      number,
      ...(name === undefined ? {} : { name }),
      version: this.identity.nextVersion(),
    };
    const contactName = await keyring.seal('conversation', id, content);
    this.told.set(id, { key, contactName });
    return contactName;
  }

  private async seal(kind: 'message' | 'state', id: string, value: unknown): Promise<string> {
    const { keyring } = await this.account;
    return keyring.seal(kind, id, value);
  }
}

function piecesOf(contacts: Contact[]): Contact[][] {
  const pieces: Contact[][] = [];
  let size = Infinity;
  for (const contact of contacts) {
    const bytes = new TextEncoder().encode(JSON.stringify(contact)).length + 1;
    if (size + bytes > CONTACTS_BYTES) {
      pieces.push([]);
      size = 0;
    }
    pieces.at(-1)!.push(contact);
    size += bytes;
  }
  return pieces;
}

async function digestOf(contacts: Contact[]): Promise<string> {
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify(contacts)));
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
