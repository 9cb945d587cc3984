import { randomBytes } from 'node:crypto';
import { ClientError, type Contact, type Device, type FileReference, type PhoneClient, type ToldConversation, type ToldMessage } from '@pairline/client'; // prettier-ignore
import type { CountryCode } from 'libphonenumber-js/min';
import type { DriverFile, DriverMessage } from './driver.js';
import type { Folder } from './folder.js';
import { normalizeNumber, parseRegion } from './numbers.js';
import { Told, type Writing } from './told.js';
import { Uploads } from './uploads.js';

/** The server's last word on one text or one status. Everything else is about the connection or the account. */
const REFUSALS = new Set(['rejected', 'string_too_long', 'invalid_string', 'invalid_payload', 'payload_too_large', 'message_not_found']); // prettier-ignore
const SECRET_BYTES = 32;
const MAX_NORMALIZED = 10_000;

/** What the server says of a file that it has no place for. */
const NO_PLACE: Record<string, NoPlace | undefined> = { file_too_large: 'too-large', files_full: 'no-room', storage_full: 'no-room' }; // prettier-ignore

/** A text that the server refused. */
export type Refusal = (message: ToldMessage, error: ClientError) => void;

/** Why the server does not take a file: it never will, or not as things are. */
export type NoPlace = 'too-large' | 'no-room';

/** The account as the phone tells it: which texts, conversations and contacts the server has. */
export class Account {
  /** The address book by number. */
  private contacts = new Map<string, string>();
  private readonly normalized = new Map<string, string>();
  private readonly region?: CountryCode;

  constructor(
    private readonly folder: Folder,
    readonly client: PhoneClient,
    readonly told: Told,
    region?: string,
  ) {
    this.region = parseRegion(region ?? '');
  }

  /** A number in its one form. A million texts have some hundred numbers, and working one out takes a while. */
  normalize(number: string): string {
    let normalized = this.normalized.get(number);
    if (normalized === undefined) {
      if (this.normalized.size >= MAX_NORMALIZED) this.normalized.clear();
      normalized = normalizeNumber(number, this.region);
      this.normalized.set(number, normalized);
    }
    return normalized;
  }

  nameOf(number: string): string {
    const normalized = this.normalize(number);
    return this.contacts.get(normalized) ?? this.told.names.get(normalized) ?? normalized;
  }

  /** The name that the address book has for a number in its one form. */
  knownName(number: string): string | undefined {
    return this.contacts.get(number);
  }

  /** Lets in the browser that shows this code. Rejects with a `ClientError`. */
  async pair(code: string): Promise<void> {
    await this.client.pair(code);
    const { settings } = this.folder;
    this.folder.settings = { ...settings, pairedAt: settings.pairedAt ?? Date.now() };
  }

  /** Each device with the words to compare with it. */
  async devices(): Promise<{ device: Device; words?: string[] }[]> {
    const devices = await this.client.devices();
    return Promise.all(devices.map(async (device) => ({ device, words: device.current ? undefined : await this.client.safetyWords(device.id) }))); // prettier-ignore
  }

  async unpair(): Promise<void> {
    await this.client.unpair();
    this.told.close();
    forget(this.folder);
  }

  /** The address book; conversations whose name is another one by now are told again. */
  async tellContacts(contacts: Contact[]): Promise<void> {
    const normalized = contacts.map(({ name, numbers }) => ({
      name,
      numbers: [...new Set(numbers.map((number) => this.normalize(number)))],
    }));
    this.contacts = new Map(
      normalized.flatMap(({ name, numbers }) => numbers.map((number) => [number, name] as const)),
    );
    await this.client.putContacts(normalized);
    await this.told.exclusively(async () => {
      const renamed = [...this.contacts].filter(([number, name]) => (this.told.names.get(number) ?? name) !== name);
      if (renamed.length === 0) return;
      await this.client.putConversations(renamed.map(([number, name]) => this.conversation(number, name)));
      this.told.write({ names: Object.fromEntries(renamed) });
    });
  }

  /** A page of the phone's own texts, and how far the phone was told with it. `without`: a text is told without one of its files. */
  tellPhone(
    messages: DriverMessage[],
    step: { position?: string; history?: string | null },
    { refused, without }: { refused: Refusal; without: (why: NoPlace) => void },
  ) {
    return this.told.exclusively(async () => {
      const counting = this.told.count();
      const fresh: ToldMessage[] = [];
      const names = new Map<string, string>();
      for (const message of messages) {
        const number = this.normalize(message.number);
        const nth = counting.add('phone', { ...message, number });
        if (nth < counting.of('import', { ...message, number })) continue; // A backup brought it already.
        const id = `p${this.told.id('phone', message.key)}`;
        fresh.push(this.toTold(id, number, message, await this.upload(id, message.files, without)));
        names.set(number, this.contacts.get(number) ?? '');
      }
      await this.put(fresh, names, { ...step, texts: counting.added }, refused);
    });
  }

  /** A text that a browser wrote is among the phone's own now: a backup of the phone must not bring it again. */
  async countSent(number: string, text: string, timestamp: number): Promise<void> {
    await this.told.exclusively(async () => {
      const counting = this.told.count();
      counting.add('phone', { type: 'sent', number: this.normalize(number), text, timestamp });
      this.told.write({ texts: counting.added });
    });
  }

  /** Puts the files of a text on the server, in their order; `without` is told of each that has no place there. */
  async upload(id: string, files: DriverFile[] = [], without: (why: NoPlace) => void): Promise<FileReference[]> {
    const references: FileReference[] = [];
    for (const [nth, file] of files.entries())
      try {
        references.push(await this.told.uploads.upload(await this.client.files(), id, nth, file));
      } catch (error) {
        const why = error instanceof ClientError ? NO_PLACE[error.code] : undefined;
        if (why === undefined) throw error;
        without(why);
      }
    return references;
  }

  /** Takes files off the server that were uploaded for texts which never were told. */
  dropUploads(): Promise<void> {
    return this.told.exclusively(() => this.told.uploads.removeRest(() => this.client.files()));
  }

  toTold(
    id: string,
    number: string,
    { text, timestamp, type, status, read }: Omit<DriverMessage, 'key' | 'number'>,
    files: FileReference[],
  ): ToldMessage {
    return { id, conversationId: this.told.conversationId(number), number, text, ...(files.length > 0 && { files }), timestamp, type, ...(status === undefined ? {} : { status }), read }; // prettier-ignore
  }

  /**
   * Tells texts and the conversations that they begin, and notes the step; resolves when all is on the server's disk, and here.
   * `names` has what a number is called, or an empty text.
   */
  async put(messages: ToldMessage[], names: Map<string, string>, step: Writing, refused: Refusal): Promise<void> {
    const { uploads } = this.told;
    const ids = messages.map(({ id }) => id);
    const orphans: string[] = [];
    const begun = [...names].filter(([number]) => !this.told.names.has(number));
    if (begun.length > 0)
      await this.client.putConversations(begun.map(([number, name]) => this.conversation(number, name)));
    uploads.telling(ids);
    await this.putMessages(messages, (message, error) => {
      orphans.push(...(message.files ?? []).map(({ id }) => id));
      refused(message, error);
    });
    for (const id of orphans) await (await this.client.files()).remove(id);
    this.told.write({ ...step, names: Object.fromEntries(begun) });
    uploads.over(ids);
  }

  /** One text that the server cannot take must not keep the others from it. */
  private async putMessages(messages: ToldMessage[], refused: Refusal): Promise<void> {
    if (messages.length === 0) return;
    try {
      await this.client.putMessages(messages);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (messages.length === 1) return refused(messages[0]!, error);
      const middle = messages.length >> 1;
      await this.putMessages(messages.slice(0, middle), refused);
      await this.putMessages(messages.slice(middle), refused);
    }
  }

  private conversation(number: string, name: string): ToldConversation {
    return { id: this.told.conversationId(number), number, ...(name === '' ? {} : { name }) };
  }
}

/** The server's last word on what it was told: saying it again would not help. */
export function isRefusal(error: unknown): error is ClientError {
  return error instanceof ClientError && REFUSALS.has(error.code);
}

export function openTold(folder: Folder): Told {
  if (folder.read('secret') === undefined) folder.write('secret', randomBytes(SECRET_BYTES).toString('base64url'));
  const secret = Buffer.from(folder.read('secret')!, 'base64url');
  return new Told(folder.file('told'), secret, new Uploads(folder.file('uploads')));
}

/** The account is gone. What the radio was given stays known: it is never given twice. */
export function forget(folder: Folder): void {
  for (const name of ['client', 'told', 'uploads', 'status.json']) folder.remove(name);
  folder.settings = { ...folder.settings, pairedAt: undefined, url: undefined };
}
