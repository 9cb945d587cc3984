import { randomUUID } from 'node:crypto';
import { browser, call, type Client, message, pair, phone, type PhoneClient } from './clients.js';
import { later, query } from './database.js';
import type { TestServer } from './server.js';
import type { MailServer } from './smtp.js';
import { change } from './table-client.js';
import { encode, OFFSET_STREAM, send } from './tus.js';

// Accounts that came in by every door, for tests in which one of them tries what is another's.

/** A phone, a browser, somebody who signs in by email, name and password, a client of table sync, and an API key. */
export interface Party {
  account: string;
  handset: PhoneClient;
  web: Client;
  /** The browser's. */
  token: string;
  browserId: string;
  email: string;
  name: string;
  password: string;
  clientId: string;
  accessToken: string;
  refreshToken: string;
  keyId: string;
  apiKey: string;
}

export const SECRET = 'Nobody else may read this';
export const SECRET_NUMBER = '+15559990000';
export const IDS = {
  message: 'their-message',
  conversation: 'their-conversation',
  queued: 'their-queued',
  state: 'their-state',
  record: '5d7a5c1e-8f1b-4f0a-9c55-0f1f5f0c7a01',
  announced: '5d7a5c1e-8f1b-4f0a-9c55-0f1f5f0c7a02',
  deltaConversation: 'their-delta-conversation',
  deltaMessage: 'their-delta-message',
  chatMessage: 'their-chat-message',
};

export const basic = (username: string, password: string) => ({
  Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
});

/** The six digits of the next mail to the email, which this request asks for. */
export async function aCode(
  { url }: TestServer,
  mails: MailServer,
  path: string,
  email: string,
  token?: string,
): Promise<string> {
  const before = mails.mails.filter(({ to }) => to.includes(email)).length;
  await taken(url, path, { token, body: { email } });
  return mails.codeFor(email, before + 1);
}

async function taken(url: string, path: string, init: Parameters<typeof call>[2]) {
  const { status, body } = await call(url, path, init);
  if (status > 201) throw new Error(`${path} answered ${status}: ${JSON.stringify(body)}`);
  return body;
}

export async function aParty(server: TestServer, mails: MailServer, keyName = 'Mine'): Promise<Party> {
  const { url } = server;
  const handset = await phone(url);
  later(() => handset.close());
  const token = await pair(url, handset);
  const web = await browser(url, token);
  later(() => web.close());
  const { sid: browserId, sub: account } = claimsOf(token);

  const [id, clientId] = [randomUUID(), randomUUID()];
  const [email, name, password] = [`${id}@example.org`, `ann-${id}`, `password of ${id}`];
  const code = await aCode(server, mails, '/api/account/email', email, token);
  await taken(url, '/api/account/email/confirm', { token, body: { email, code } });
  await taken(url, '/api/account/name', { token, method: 'PUT', body: { name, password } });
  const tokens = await taken(url, '/login/default', { body: { clientId }, headers: basic(email, password) });
  const key = await taken(url, '/api/keys', { token, body: { name: keyName } });
  return {
    ...{ account, handset, web, token, browserId, email, name, password, clientId },
    ...{ accessToken: tokens.access_token, refreshToken: tokens.refresh_token, keyId: key.id, apiKey: key.apiKey },
  };
}

export function claimsOf(token: string): { sub: string; sid: string; exp: number } {
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
}

/** An account with something of every kind, everybody of it connected and quiet. */
export async function aVictim(server: TestServer, mails: MailServer): Promise<Party> {
  const party = await aParty(server, mails, SECRET);
  const { handset, web } = party;
  const theirs = { conversationId: IDS.conversation, phoneNumber: SECRET_NUMBER, body: SECRET };
  const messages = [IDS.message, 'their-second', 'their-third'].map((id) => message({ id, ...theirs }));
  await handset.send('mobile:messages', { messages });
  const conversation = { id: IDS.conversation, phoneNumber: SECRET_NUMBER, contactName: SECRET, lastMessage: SECRET };
  await handset.send('mobile:conversations', {
    conversations: [{ ...conversation, lastMessageTime: Date.UTC(2026, 5, 1), unreadCount: 1 }],
  });
  await web.send('web:send-message', { phoneNumber: SECRET_NUMBER, message: SECRET, tempId: IDS.queued });
  await web.send('state:put', { key: IDS.state, value: SECRET });
  await bySync(server, party);
  await byUpload(server, party);
  await handset.next('send:message');
  await handset.settled();
  await web.settled();
  return party;
}

/** Rows by table sync and by delta sync, and a pull in parts that has begun. */
async function bySync({ url }: TestServer, { accessToken, apiKey }: Party): Promise<void> {
  const at = Date.UTC(2026, 5, 1);
  await taken(url, '/push/default', { token: accessToken, body: { lastSync: 0, changes: [change(IDS.record, at, { text: SECRET })] } }); // prettier-ignore
  await taken(url, '/pull/default', { token: accessToken, body: { lastSync: 0, isPartial: 1, changes: [change(IDS.announced, at, 1)] } }); // prettier-ignore
  const row = { updated_at: at, is_deleted: 0 };
  const conversations = [{ id: IDS.deltaConversation, name: SECRET, ...row }];
  const messages = [{ id: IDS.deltaMessage, conversation_id: IDS.deltaConversation, content: SECRET, ...row }];
  await taken(url, '/api/sync', { token: apiKey, body: { client_changes: { conversations, messages } } });
}

/** A file, and an upload that is under way. */
async function byUpload({ url }: TestServer, { token }: Party): Promise<void> {
  const said = { 'Upload-Metadata': encode({ fileName: SECRET }), 'Content-Type': OFFSET_STREAM };
  const body = Buffer.from(SECRET);
  for (const length of [body.length, body.length + 1]) {
    const headers = { 'Upload-Length': length, ...said };
    const { status } = await send(url, 'POST', '/api/files', { token, headers, body });
    if (status !== 201) throw new Error(`An upload was answered by ${status}`);
  }
}

/** What moves by itself, and what a stranger's vain try leaves in the owner's audit list. */
const VOLATILE = ['last_seen_at', 'last_used_at'];
const OF_STRANGERS = ['session.refused', 'code.sent', 'code.refused'];

/** Every row of the account, of whatever table, as it is in the database. */
export async function storedOf(
  { database }: TestServer,
  { account }: Pick<Party, 'account'>,
  besides: string[] = [],
): Promise<string[]> {
  const tables = await query(
    database.url,
    `SELECT table_name AS name, 'account_id' AS key FROM information_schema.columns
     WHERE table_schema = 'public' AND column_name = 'account_id' UNION SELECT 'accounts', 'id'`,
  );
  const rows = tables.map(({ name, key }) => `SELECT '${name}' AS name, to_jsonb(t) - $2::text[] AS row FROM "${name}" t WHERE ${key} = $1`); // prettier-ignore
  const all = await query(database.url, rows.join(' UNION ALL '), [account, [...VOLATILE, ...besides]]);
  return all
    .filter(({ name, row }) => name !== 'account_events' || !OF_STRANGERS.includes((row as { event: string }).event))
    .map(({ name, row }) => `${name} ${JSON.stringify(row)}`)
    .sort();
}
