import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { io, type Socket } from 'socket.io-client';

/*
 * npm run seed [-- ADDRESS] [--email EMAIL] [--password PASSWORD]
 *
 * A demo account on a running server, made as clients make one: a phone that tells its texts, a person who signs in by email
 * and joins the phone's account to theirs, a state, and a table of notes. Run again, it signs in and puts back what is missing.
 * The address may also stand in PAIRLINE_URL. The password is known to everybody who reads this: not for a server that
 * strangers reach.
 */
const PATIENCE_MS = 15_000;
const DAY = 86_400_000;

const people = [
  { id: 'demo-mia', phoneNumber: '+12025550134', contactName: 'Mia' },
  { id: 'demo-leo', phoneNumber: '+12025550156', contactName: 'Leo' },
  { id: 'demo-parcels', phoneNumber: '+12025550199', contactName: 'Parcels' },
];

/** Who, how many days ago at which hour, which way, what. */
const texts: [who: number, day: number, hour: number, type: 'sent' | 'received', body: string][] = [
  [0, 3, 18, 'received', 'Are you still coming on Saturday?'],
  [0, 3, 19, 'sent', 'Of course! Shall I bring anything?'],
  [0, 3, 19.1, 'received', 'A warm sleeping bag. It will be cold at night 🏕️'],
  [1, 2, 9, 'received', 'I bring the tent. Who drives?'],
  [1, 2, 9.5, 'sent', 'I can, there is room for four'],
  [2, 1, 11, 'received', 'Your parcel arrives today between 14:00 and 16:00'],
  [0, 1, 20, 'received', 'Leo says you drive? Hero!'],
];

const notes = [
  { guid: '7b0c6f1e-6f0c-4a43-9d0f-0d2f6a3f1a01', text: 'Sleeping bag' },
  { guid: '7b0c6f1e-6f0c-4a43-9d0f-0d2f6a3f1a02', text: 'Gas cooker, matches' },
  { guid: '7b0c6f1e-6f0c-4a43-9d0f-0d2f6a3f1a03', text: 'Ask Mia for the map' },
];

interface Account {
  url: string;
  email: string;
  password: string;
}

try {
  await seed(readArguments());
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

async function seed(account: Account): Promise<void> {
  const { url, email, password } = account;
  let token = await signIn(account);
  const isNew = token === undefined;
  if (token === undefined) {
    const phones = await aPhoneWithTexts(url);
    const person = await post(url, '/api/auth/register', { email, password, deviceInfo: { name: 'Seed' } });
    await post(url, '/api/account/join', { token: phones, currentPassword: password }, person.token as string);
    token = (await signIn(account))!;
  }
  await putStates(url, token);
  await pushNotes(account);
  console.log(isNew ? `A demo account is at ${url}:` : `The demo account was at ${url} already:`);
  console.log(`  email     ${email}\n  password  ${password}`);
}

/** Undefined when nobody has this email. */
async function signIn({ url, email, password }: Account): Promise<string | undefined> {
  const reply = await request(url, '/api/auth/login', {
    email,
    password,
    deviceInfo: { name: 'Seed', deviceId: 'seed' },
  });
  if (reply.code === 'wrong_credentials') return undefined;
  return whole(reply).token as string;
}

/** A session token of the account that a new phone has made. */
async function aPhoneWithTexts(url: string): Promise<string> {
  const deviceId = `demo-${randomUUID()}`;
  const midnight = new Date().setHours(0, 0, 0, 0);
  const phone = io(url, { transports: ['websocket'], forceNew: true });
  try {
    const inviteToken = process.env.INVITE_TOKEN;
    await ask(phone, 'mobile:register', { deviceId, deviceName: 'Demo phone', deviceModel: 'Simulated', inviteToken });
    const conversations = people.map((person) => ({ ...person, lastMessage: '', lastMessageTime: 0, unreadCount: 0 }));
    await ask(phone, 'mobile:conversations', { conversations });
    const messages = texts.map(([who, day, hour, type, body], i) => ({
      id: `demo-${i}`,
      conversationId: people[who]!.id,
      phoneNumber: people[who]!.phoneNumber,
      body,
      timestamp: midnight - day * DAY + hour * 3_600_000,
      type,
      ...(type === 'sent' ? { status: 'delivered' } : {}),
      read: i < texts.length - 1,
    }));
    await ask(phone, 'mobile:messages', { messages });
    const { data } = await get<{ data: { qrData: string; token: string } }>(url, '/api/auth/generate-qr');
    const paired = post(url, '/api/auth/wait-pairing', { token: data.token, deviceName: 'Seed' });
    await ask(phone, 'mobile:scan-qr', { qrData: data.qrData, deviceId });
    return ((await paired).data as { sessionToken: string }).sessionToken;
  } finally {
    phone.disconnect();
  }
}

async function putStates(url: string, token: string): Promise<void> {
  const device = io(url, { transports: ['websocket'], forceNew: true, auth: { token } });
  try {
    const trip = { title: 'Camping', stops: ['Lake', 'Old mill'], done: false };
    await ask(device, 'session-update', { sessionKey: 'trip', state: trip });
    await ask(device, 'session-update', { sessionKey: 'theme', state: 'dark' });
  } finally {
    device.disconnect();
  }
}

/** By the realm `default`: the same account, so that all of it is in one change log. */
async function pushNotes({ url, email, password }: Account): Promise<void> {
  const clientId = 'seed-notes';
  const basic = `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`;
  const { access_token } = whole(await request(url, '/login/default', { clientId }, basic));
  const changes = notes.map(({ guid, text }) => ({
    operation: 'I',
    rowguid: guid,
    tablename: 'notes',
    // Always the same: what somebody has changed since is newer, and stays.
    clientdate: '2026-01-01T12:00:00.000Z',
    rowData: { guid, text },
  }));
  await post(url, '/push/default', { clientId, lastSync: 0, isPartial: 0, changes }, access_token as string);
}

async function ask(socket: Socket, event: string, payload: object): Promise<void> {
  const refused = new Promise<never>((_, reject) => socket.once('connect_error', reject));
  const answered = socket.timeout(PATIENCE_MS).emitWithAck(event, payload) as Promise<{
    ok: boolean;
    message?: string;
  }>;
  const reply = await Promise.race([answered, refused]);
  if (!reply.ok) throw new Error(`The server refused ${event}: ${reply.message}.`);
}

type Reply = Record<string, unknown>;

async function post(url: string, path: string, body: object, token?: string): Promise<Reply> {
  return whole(await request(url, path, body, token && `Bearer ${token}`));
}

function whole(reply: Reply): Reply {
  if (reply.success === false) throw new Error(`The server refused: ${String(reply.message)} (${String(reply.code)}).`);
  return reply;
}

async function request(url: string, path: string, body: object, authorization?: string): Promise<Reply> {
  const headers = { 'Content-Type': 'application/json', ...(authorization && { Authorization: authorization }) };
  return (await reach(url, path, { method: 'POST', headers, body: JSON.stringify(body) })) as Reply;
}

async function get<T>(url: string, path: string): Promise<T> {
  return (await reach(url, path)) as T;
}

async function reach(url: string, path: string, init?: RequestInit): Promise<unknown> {
  const response = await fetch(url + path, init).catch(() => {
    throw new Error(`Nothing answers at ${url}: run \`npm start\` in another terminal, then this again.`);
  });
  return response.json().catch(() => {
    throw new Error(`What answers at ${url} is not a Pairline server.`);
  });
}

function readArguments(): Account {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      email: { type: 'string', default: 'demo@example.org' },
      password: { type: 'string', default: 'a demo for everybody' },
    },
  });
  const url = positionals[0] ?? process.env.PAIRLINE_URL ?? 'http://localhost:3000';
  return { url: url.replace(/\/+$/, ''), ...values };
}
