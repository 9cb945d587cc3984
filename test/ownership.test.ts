import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { clientEvents, type ClientEvent } from '../src/delivery/events.js';
import {
  browser,
  call,
  Client,
  generateQr,
  message,
  pair,
  phone,
  waitPairing,
  type PhoneClient,
} from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { TestServer } from './support/server.js';

// Every route and every event, tried with what belongs to another account. A new route or event fails the last tests of
// this file until it is tried here too.

let server: TestServer;
let victim: Party;
let before: unknown;

beforeAll(async () => {
  server = await TestServer.start({ limits: { wrongTokensPerMinute: 0, qrCodesPerMinute: 0 } });
});
afterEach(cleanUp);
afterAll(() => server.stop());

interface Party {
  handset: PhoneClient;
  web: Client;
  token: string;
  browserId: string;
}

async function aParty(): Promise<Party> {
  const handset = await phone(server.url);
  later(() => handset.close());
  const token = await pair(server.url, handset);
  const web = await browser(server.url, token);
  later(() => web.close());
  const { sid } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
  return { handset, web, token, browserId: sid };
}

const SECRET = 'Nobody else may read this';
const SECRET_NUMBER = '+15559990000';
const IDS = {
  message: 'their-message',
  conversation: 'their-conversation',
  queued: 'their-queued',
  state: 'their-state',
};

/** All of an account, as its own browser sees it. */
async function everything({ token }: Party): Promise<unknown> {
  const { status, body } = await call(server.url, '/api/snapshot?limit=1000', { token });
  expect([status, body.more]).toEqual([200, false]);
  const devices = await call(server.url, '/api/devices', { token });
  // When a device was last heard of moves by itself.
  const kept = devices.body.devices.map((device: object) => ({ ...device, lastSeen: 0 }));
  return { changes: body.changes, cursor: body.cursor, devices: kept };
}

/** An account with something of every kind, everybody of it connected and quiet. */
async function aVictim(): Promise<Party> {
  const party = await aParty();
  const { handset, web } = party;
  const theirs = { conversationId: IDS.conversation, phoneNumber: SECRET_NUMBER, body: SECRET };
  const messages = [IDS.message, 'their-second', 'their-third'].map((id) => message({ id, ...theirs }));
  await handset.send('mobile:messages', { messages });
  await handset.send('mobile:conversations', {
    conversations: [
      {
        id: IDS.conversation,
        phoneNumber: SECRET_NUMBER,
        contactName: SECRET,
        lastMessage: SECRET,
        lastMessageTime: Date.UTC(2026, 5, 1),
        unreadCount: 1,
      },
    ],
  });
  await web.send('web:send-message', { phoneNumber: SECRET_NUMBER, message: SECRET, tempId: IDS.queued });
  await web.send('state:put', { key: IDS.state, value: SECRET });
  await handset.next('send:message');
  await handset.settled();
  await web.settled();
  return party;
}

async function attacked(attack: (attacker: Party) => Promise<void>): Promise<void> {
  victim = await aVictim();
  const attacker = await aParty();
  await attacker.handset.send('mobile:messages', { messages: [message({ id: 'my-own', body: 'Mine' })] });
  before = await everything(victim);
  for (const client of [victim.handset, victim.web]) client.forget();

  await attack(attacker);

  for (const client of [victim.handset, victim.web, attacker.handset, attacker.web]) await client.settled();
  expect(await everything(victim)).toEqual(before);
  expect(victim.handset.received).toEqual([]);
  expect(victim.web.received).toEqual([]);
  expectNothingLeaked([attacker.handset.received, attacker.web.received, await everything(attacker)]);
}

function expectNothingLeaked(seen: unknown): void {
  const text = JSON.stringify(seen);
  for (const secret of [SECRET, SECRET_NUMBER, victim.token, victim.handset.deviceToken])
    expect(text).not.toContain(secret);
}

// REST

type Attack = (attacker: Party, token: string) => Promise<void>;

const tokensOf = ({ token, handset }: Party) => [token, handset.deviceToken];

async function expectRefusal(path: string, init: Parameters<typeof call>[2], status = 404): Promise<void> {
  const reply = await call(server.url, path, init);
  expect([path, reply.status]).toEqual([path, status]);
  expect(reply.body).toMatchObject({ success: false, code: expect.any(String) });
  expectNothingLeaked(reply.body);
}

async function expectOwnOnly(path: string, token: string): Promise<void> {
  const { status, body } = await call(server.url, path, { token });
  expect(status).toBe(200);
  expectNothingLeaked(body);
  expect(JSON.stringify(body)).not.toContain(victim.handset.deviceId);
}

const theirDevices = () => [victim.handset.deviceId, victim.browserId];

const routes: Record<string, Attack> = {
  'GET /api/devices': (_, token) => expectOwnOnly('/api/devices', token),
  'PATCH /api/devices/{id}': async (_, token) => {
    for (const id of theirDevices())
      await expectRefusal(`/api/devices/${id}`, { token, method: 'PATCH', body: { name: 'Mine now' } });
  },
  'DELETE /api/devices/{id}': async (_, token) => {
    for (const id of theirDevices()) await expectRefusal(`/api/devices/${id}`, { token, method: 'DELETE' });
  },
  'GET /api/changes': async (_, token) => {
    await expectOwnOnly('/api/changes', token);
    // A cursor that the account never gave out is none.
    await expectRefusal(`/api/changes?after=${(before as { cursor: number }).cursor - 1}`, { token }, 410);
  },
  'GET /api/snapshot': (_, token) => expectOwnOnly('/api/snapshot', token),
  'GET /api/changes/stream': async (attacker, token) => {
    const leave = new AbortController();
    const response = await fetch(`${server.url}/api/changes/stream`, {
      headers: { Authorization: `Bearer ${token}` },
      signal: leave.signal,
    });
    // What happens to the other account meanwhile would come before what happens to this one.
    await attacker.handset.send('mobile:messages', { messages: [message({ id: 'mark', body: 'Mark' })] });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('"mark"')) text += (await reader.read()).value ?? '';
    leave.abort();
    expectNothingLeaked(text);
  },
  'POST /api/auth/verify': async ({ token }) => {
    const [header, , signature] = token.split('.');
    const claims = JSON.parse(Buffer.from(victim.token.split('.')[1]!, 'base64url').toString());
    const theirs = Buffer.from(JSON.stringify({ ...claims, exp: claims.exp + 1 })).toString('base64url');
    for (const sessionToken of [
      `${header}.${theirs}.${signature}`,
      victim.browserId,
      claims.sub,
      victim.handset.deviceId,
    ])
      await expectRefusal('/api/auth/verify', { body: { sessionToken } }, 401);
  },
  'POST /api/pairing/claim': async (attacker, token) => {
    const qr = await generateQr(server.url);
    const body = { qrData: qr.qrData, deviceId: victim.handset.deviceId };
    if (token !== attacker.token) return expectRefusal('/api/pairing/claim', { token, body }, 403);
    // Whoever is let in is let into the claimer's own account, whatever the claim says.
    expect((await call(server.url, '/api/pairing/claim', { token, body })).status).toBe(200);
    const { data } = (await waitPairing(server.url, qr.token)).body;
    expect(data.deviceId).toBe(attacker.handset.deviceId);
    await expectOwnOnly('/api/snapshot', data.sessionToken);
  },
  'POST /api/auth/wait-pairing': async () => {
    for (const token of [victim.browserId, victim.handset.deviceId, victim.handset.deviceToken])
      await expectRefusal('/api/auth/wait-pairing', { body: { token } });
  },
  'GET /api/auth/generate-qr': async () => {
    const reply = await call(server.url, `/api/auth/generate-qr?deviceId=${victim.handset.deviceId}`);
    expect(JSON.stringify(reply.body)).not.toContain(victim.handset.deviceId);
  },
};

/** These know of no account: there is nothing of anybody's in them. */
const OF_NOBODY = ['GET /', 'GET /api/auth/health', 'GET /healthz', 'GET /readyz', 'GET /metrics'];

test.each(Object.keys(routes))('%s gives nothing of another account, and changes nothing', (route) =>
  attacked(async (attacker) => {
    for (const token of tokensOf(attacker)) await routes[route]!(attacker, token);
  }),
);

test.each(OF_NOBODY)('%s tells nothing of anybody', (route) =>
  attacked(async () => {
    const { body } = await call(server.url, route.slice('GET '.length));
    expectNothingLeaked(body);
    const text = JSON.stringify(body);
    for (const id of [...theirDevices(), ...Object.values(IDS)]) expect(text).not.toContain(id);
  }),
);

interface OpenApi {
  paths: Record<string, Record<string, { security?: unknown[] }>>;
}

async function documentedRoutes(): Promise<[route: string, closed: boolean][]> {
  const { body } = await call<OpenApi>(server.url, '/docs/json');
  return Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security }]): [string, boolean] => [
      `${method.toUpperCase()} ${path}`,
      security !== undefined,
    ]),
  );
}

test('every route there is was tried', async () => {
  const documented = (await documentedRoutes()).map(([route]) => route).sort();
  expect([...Object.keys(routes), ...OF_NOBODY].sort()).toEqual(documented);
});

test('every route that is not public refuses a request without a token', async () => {
  const closed = (await documentedRoutes()).filter(([, isClosed]) => isClosed).map(([route]) => route);
  expect(closed.length).toBeGreaterThan(0);
  for (const route of closed) {
    const [method, path] = route.split(' ') as [string, string];
    const reply = await call(server.url, path.replaceAll(/\{\w+\}/g, 'x'), { method });
    expect([route, reply.status, reply.body.code]).toEqual([route, 401, 'not_authenticated']);
  }
});

// Events

/** Refused, or done to nothing but the sender's own account, which has nothing by that id. */
type EventAttack = (attacker: Party) => Promise<unknown>;

const refused = async (ack: Promise<{ ok: boolean; code?: string }>, ...codes: string[]) => {
  const { ok, code } = await ack;
  expect([ok, codes]).toEqual([false, expect.arrayContaining([code])]);
};

const events: Record<ClientEvent, EventAttack> = {
  'mobile:register': async ({ handset }) => {
    const { deviceId } = victim.handset;
    for (const deviceToken of [undefined, handset.deviceToken, 'guess']) {
      const socket = new Client(server.url);
      later(() => socket.close());
      const payload = { deviceId, deviceName: 'Mine now', deviceToken };
      await refused(socket.send('mobile:register', payload), 'device_token_required', 'authentication_failed');
      await refused(socket.send('mobile:messages', { messages: [] }), 'device_not_registered');
    }
    await refused(handset.send('mobile:register', { deviceId, deviceName: 'x' }), 'already_authenticated');
  },
  'mobile:scan-qr': async ({ handset }) => {
    const { qrData } = await generateQr(server.url);
    const payload = { qrData, deviceId: victim.handset.deviceId };
    await refused(handset.send('mobile:scan-qr', payload), 'authentication_failed');
  },
  'mobile:messages': async ({ handset }) => {
    const mine = message({ id: IDS.message, conversationId: IDS.conversation, body: 'Not theirs' });
    expect(await handset.send('mobile:messages', { messages: [mine] })).toMatchObject({ ok: true, new: 1 });
  },
  'mobile:conversations': async ({ handset }) => {
    const mine = { id: IDS.conversation, phoneNumber: '+15550100', lastMessage: 'x', lastMessageTime: Date.now() };
    expect(await handset.send('mobile:conversations', { conversations: [mine] })).toMatchObject({ ok: true });
  },
  'mobile:message-status': async ({ handset }) => {
    for (const messageId of [IDS.message, IDS.queued])
      expect(await handset.send('mobile:message-status', { messageId, status: 'failed' })).toEqual({
        ok: true,
        known: false,
      });
  },
  'message:sent': async ({ handset }) => {
    for (const messageId of [IDS.queued, 'unheard-of'])
      expect(await handset.send('message:sent', { phoneNumber: SECRET_NUMBER.slice(0, -1), messageId })).toEqual({ ok: true, known: false }); // prettier-ignore
  },
  'message:deleted': async ({ handset }) => {
    for (const messageId of [IDS.message, IDS.queued])
      await refused(handset.send('message:deleted', { messageId }), 'message_not_found');
  },
  'web:authenticate': async ({ web }) => {
    await refused(web.send('web:authenticate', { sessionToken: victim.token }), 'already_authenticated');
    const socket = new Client(server.url);
    later(() => socket.close());
    for (const sessionToken of [victim.browserId, victim.handset.deviceId, victim.token.slice(0, -2)])
      await refused(socket.send('web:authenticate', { sessionToken }), 'authentication_failed');
  },
  'web:send-message': async ({ web, handset }) => {
    const payload = { phoneNumber: '+15550100', message: 'Mine', tempId: IDS.queued };
    expect(await web.send('web:send-message', payload)).toMatchObject({ ok: true });
    expect(await handset.next('send:message')).toEqual(payload);
  },
  'web:mark-read': ({ web }) =>
    refused(web.send('web:mark-read', { conversationId: IDS.conversation }), 'conversation_not_found'),
  'web:delete-message': async ({ web }) => {
    for (const messageId of [IDS.message, IDS.queued])
      await refused(web.send('web:delete-message', { messageId }), 'message_not_found');
  },
  'state:put': async ({ web, handset }) => {
    for (const device of [web, handset])
      expect(await device.send('state:put', { key: IDS.state, value: 'Not theirs' })).toMatchObject({ ok: true });
  },
  'state:delete': async ({ web, handset }) => {
    for (const device of [web, handset]) await refused(device.send('state:delete', { key: IDS.state }), 'not_found');
  },
  'web:request-sync': async ({ web, handset }) => {
    expect(await web.send('web:request-sync')).toMatchObject({ ok: true });
    await handset.next('request:sync');
  },
};

test.each(Object.keys(events) as ClientEvent[])('%s reaches nothing of another account', (event) =>
  attacked(async (attacker) => {
    await events[event](attacker);
  }),
);

test('every event there is was tried', () => {
  expect(Object.keys(events).sort()).toEqual(Object.keys(clientEvents(server.env.limits)).sort());
});

test('every event is refused to a socket that has not said who it is, and to the wrong kind of device', async () => {
  const stranger = new Client(server.url);
  later(() => stranger.close());
  const { handset, web } = await aParty();
  for (const [event, { from }] of Object.entries(clientEvents(server.env.limits))) {
    if (from === 'anyone') continue;
    const code = from === 'phone' ? 'device_not_registered' : 'not_authenticated';
    expect([event, await stranger.send(event)]).toMatchObject([event, { ok: false, code }]);
    if (from === 'device') continue;
    const wrong = from === 'phone' ? web : handset;
    expect([event, await wrong.send(event)]).toMatchObject([event, { ok: false, code: 'wrong_role' }]);
  }
});

test('a follower by cursor is sent its own account only', () =>
  attacked(async ({ token, handset }) => {
    const following = new Client(server.url, { auth: { token, after: 0 } });
    later(() => following.close());
    await handset.send('mobile:messages', { messages: [message({ id: 'mark' })] });
    await following.until(() => JSON.stringify(following.all('changes')).includes('"mark"'));
    expectNothingLeaked(following.received);
  }));
