import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { clientEvents } from '../src/delivery/events.js';
import { serverEvents } from '../src/delivery/server-events.js';
import { generateQr, message, pair, waitPairing, type Ack, type PhoneClient } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { Replica } from './support/load.js';
import { TestServer } from './support/server.js';
import { transports, type AnyClient, type Introduction } from './support/ws.js';

// Every event, over every transport: one behaviour each. What there is to say beyond that is in the tests of each feature.

/** Conversations of several accounts have tests of their own. */
const ELSEWHERE = ['sendMessage', 'editMessage', 'deleteMessage', 'react', 'markConversation', 'userTyping', 'joinConversation', 'userStoppedTyping', 'newMessage', 'messageEdited', 'messageDeleted', 'reaction', 'conversationMarked', 'memberChanged', 'conversationChanged', 'pendingNotifications']; // prettier-ignore

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await TestServer.start({ limits: { registrationsPerHour: 0, qrCodesPerMinute: 0 } });
  url = server.url;
});
afterEach(cleanUp);
afterAll(() => server.stop());

describe.each(transports)('over $name', ({ open }) => {
  const tried = new Set<string>();
  const clients: AnyClient[] = [];

  /** A client whose events count as tried. */
  const aClient = (said?: Introduction): AnyClient => {
    const client = open(url, said);
    const { send, emit } = client;
    client.send = (event, payload) => (tried.add(event), send.call(client, event, payload));
    client.emit = (event, payload) => (tried.add(event), emit.call(client, event, payload));
    clients.push(client);
    later(() => client.close());
    return client;
  };

  /** A test of these events: it has to send or get each of them. */
  const covered = new Set<string>();
  const behaviour = (name: string, events: string[], run: () => Promise<void>) => {
    for (const event of events) covered.add(event);
    test(name, async () => {
      tried.clear();
      clients.length = 0;
      await run();
      for (const { received } of clients) for (const { event } of received) tried.add(event);
      expect(events.filter((event) => !tried.has(event))).toEqual([]);
    });
  };
  const expectOk = async (ack: Promise<Ack>, more: object = {}) =>
    expect(await ack).toMatchObject({ ok: true, ...more });

  const aPhone = async (known: { deviceId?: string; deviceToken?: string } = {}) => {
    const { deviceId = `phone-${randomUUID()}`, deviceToken: shown } = known;
    const client = aClient();
    await client.connected();
    const told = { deviceId, deviceName: 'Phone', deviceModel: 'P1', deviceToken: shown };
    const { deviceToken = shown } = await client.send('mobile:register', told);
    return Object.assign(client, { deviceId, deviceToken: deviceToken as string });
  };
  const aToken = (handset: { send: AnyClient['send']; deviceId: string }) =>
    pair(url, handset as unknown as PhoneClient);
  const aBrowser = async (sessionToken: string) => {
    const client = aClient();
    await client.connected();
    await expectOk(client.send('web:authenticate', { sessionToken }));
    return client;
  };
  const aPair = async () => {
    const handset = await aPhone();
    const token = await aToken(handset);
    const web = await aBrowser(token);
    await handset.next('request:sync');
    return { handset, token, web };
  };
  const aDevice = async (token: string, deviceId: string) => {
    const client = aClient({ token, deviceInfo: { deviceId, name: deviceId, type: 'laptop' } });
    await client.next('session-restored');
    return client;
  };

  describe('a phone', () => {
    behaviour(
      'registers, and comes back by its deviceToken',
      ['mobile:register', 'authenticated', 'error'],
      async () => {
        const first = await aPhone();
        expect(await first.next('authenticated')).toEqual({ success: true, deviceId: first.deviceId, accountId: expect.any(String), deviceToken: first.deviceToken }); // prettier-ignore
        const again = await aPhone(first);
        expect(await again.next('authenticated')).toMatchObject({ deviceId: first.deviceId });
        expect(await first.next('error')).toMatchObject({ code: 'replaced' });
        await first.next('disconnect');
      },
    );

    behaviour('lets a browser in by mobile:scan-qr', ['mobile:scan-qr', 'qr:paired'], async () => {
      const handset = await aPhone();
      const qr = await generateQr(url);
      const waiting = waitPairing(url, qr.token);
      await expectOk(handset.send('mobile:scan-qr', { qrData: qr.qrData, deviceId: handset.deviceId }));
      expect(await handset.next('qr:paired')).toEqual({ success: true });
      expect((await waiting).body).toMatchObject({ success: true, data: { deviceId: handset.deviceId } });
    });

    behaviour(
      'tells messages and conversations, statuses and deletions, and browsers get them in order',
      [
        'mobile:conversations',
        'mobile:messages',
        'mobile:message-status',
        'message:sent',
        'message:deleted',
        'conversations:sync',
        'messages:sync',
        'message:new',
        'message:status',
      ],
      async () => {
        const { handset, web } = await aPair();
        const text = message({ id: 'm1', body: 'Hello' });
        const status = { messageId: 'm1', status: 'read' };
        await expectOk(handset.send('mobile:conversations', { conversations: [{ id: 'thread-1', phoneNumber: '+1555', contactName: 'Mia' }] })); // prettier-ignore
        await expectOk(handset.send('mobile:messages', { messages: [text] }), { stored: 1, new: 1 });
        await expectOk(handset.send('mobile:message-status', status), { known: true });
        await expectOk(handset.send('message:sent', { phoneNumber: '+1555', messageId: 'p1' }), { known: false });
        await expectOk(handset.send('message:deleted', { messageId: 'm1' }));
        expect(await web.next('message:deleted')).toEqual({ messageId: 'm1' });
        expect(web.all('conversations:sync')[0]).toMatchObject({
          conversations: [{ id: 'thread-1', contactName: 'Mia' }],
        });
        expect(web.all('messages:sync')[0]).toMatchObject({ messages: [text] });
        expect(web.all('message:new')).toMatchObject([text]);
        expect(web.all('message:status')[0]).toEqual(status);
        expect(web.all('message:sent')).toEqual([{ phoneNumber: '+1555', messageId: 'p1' }]);
        const told = web.received.map(({ event }) => event).filter((event) => event.startsWith('message'));
        expect(told).toEqual([
          'messages:sync',
          'message:new',
          'message:status',
          'message:status',
          'message:sent',
          'message:deleted',
        ]);
      },
    );

    behaviour(
      'that was away gets what waited for it, once it has acknowledged it never again',
      ['send:message', 'mobile:connected', 'mobile:disconnected', 'message:status'],
      async () => {
        const { handset, web } = await aPair();
        handset.close();
        await web.next('mobile:disconnected');
        await expectOk(web.send('web:send-message', { phoneNumber: '+1555', message: 'Hi', tempId: 't1' }), {
          status: 'queued',
        });
        const back = await aPhone(handset);
        back.answer('send:message', { ok: true });
        await web.next('mobile:connected', undefined, 2);
        const sent = (client: AnyClient) => client.all('send:message');
        await back.until(() => sent(back).length > 0 || undefined);
        await web.next('message:status', ({ status }) => status === 'sending');
        expect(sent(back)).toEqual([{ phoneNumber: '+1555', message: 'Hi', tempId: 't1' }]);
        back.close();
        await web.next('mobile:disconnected', undefined, 2);
        const third = await aPhone(handset);
        await third.settled();
        expect(sent(third)).toEqual([]);
      },
    );
  });

  describe('a browser', () => {
    behaviour(
      'signs in, gets what is stored, and its phone is asked for a sync',
      ['web:authenticate', 'authenticated', 'messages:sync', 'mobile:connected', 'request:sync'],
      async () => {
        const { handset, token } = await aPair();
        await handset.send('mobile:messages', { messages: [message({ id: 'm1' })] });
        const later = await aBrowser(token);
        expect(await later.next('authenticated')).toMatchObject({ success: true, deviceId: handset.deviceId });
        expect(await later.next('messages:sync')).toMatchObject({ messages: [{ id: 'm1' }] });
        expect(await later.next('mobile:connected')).toMatchObject({ deviceId: handset.deviceId });
        expect(await handset.next('request:sync', undefined, 2)).toEqual({});
      },
    );

    behaviour(
      'sends, marks read and deletes, and phone and other tabs hear of it',
      ['web:send-message', 'web:mark-read', 'web:delete-message', 'web:request-sync', 'mark:read', 'delete:message'],
      async () => {
        const { handset, token, web } = await aPair();
        const tab = await aBrowser(token);
        handset.answer('mark:read', { ok: true });
        await handset.send('mobile:messages', { messages: [message({ id: 'm1', conversationId: 'c' })] });
        await expectOk(web.send('web:send-message', { phoneNumber: '+1555', message: 'Hi', tempId: 't1' }), {
          messageId: 't1',
        });
        expect(await handset.next('send:message')).toEqual({ phoneNumber: '+1555', message: 'Hi', tempId: 't1' });
        await tab.next('messages:sync', ({ messages }) => messages[0].id === 't1');
        await expectOk(web.send('web:mark-read', { conversationId: 'c' }));
        expect(await handset.next('mark:read')).toEqual({ conversationId: 'c' });
        await expectOk(web.send('web:delete-message', { messageId: 'm1' }));
        expect(await handset.next('delete:message')).toEqual({ messageId: 'm1' });
        expect(await tab.next('message:deleted')).toEqual({ messageId: 'm1' });
        expect(web.all('message:deleted')).toEqual([]);
        await expectOk(web.send('web:request-sync'));
        await handset.next('request:sync', undefined, 3);
      },
    );

    behaviour('shares state under keys', ['state:put', 'state:delete', 'changes'], async () => {
      const { token } = await aPair();
      const follower = aClient({ token, after: 0 });
      await follower.connected();
      await expectOk(follower.send('state:put', { key: 'k', value: { a: [1, null, 'ü'] } }), {
        seq: expect.any(Number),
      });
      await follower.until(() => follower.all('changes').some(({ changes }) => changes.some(({ id }: { id: string }) => id === 'k'))); // prettier-ignore
      await expectOk(follower.send('state:delete', { key: 'k' }));
      expect(await follower.send('state:delete', { key: 'k' })).toMatchObject({ ok: false, code: 'not_found' });
    });
  });

  describe('a device', () => {
    behaviour(
      'gets all states as it connects, then each as it is written, its own too',
      ['session-update', 'session-restored', 'session-updated'],
      async () => {
        const { token } = await aPair();
        const [one, two] = [await aDevice(token, 'one'), await aDevice(token, 'two')];
        expect(one.all('session-restored')).toEqual([{ sessionData: {}, deviceId: 'one' }]);
        await expectOk(one.send('session-update', { sessionKey: 'k', state: { tab: 1 } }), { seq: expect.any(Number) });
        for (const client of [one, two])
        expect(await client.next('session-updated')).toEqual({ sessionKey: 'k', state: { tab: 1 }, deviceId: 'one', timestamp: expect.any(Number) }); // prettier-ignore
        const third = await aDevice(token, 'three');
        expect(await third.next('session-restored')).toEqual({ sessionData: { k: { tab: 1 } }, deviceId: 'three' });
      },
    );

    behaviour(
      'tells the others something in passing, or one of them',
      ['realtime-event', 'device-message'],
      async () => {
        const { token } = await aPair();
        const [one, two] = [await aDevice(token, 'one'), await aDevice(token, 'two')];
        await expectOk(one.send('realtime-event', { type: 'cursor', payload: [1] }));
        await expectOk(one.send('device-message', { targetDeviceId: 'two', message: 'for you' }));
        const said = { sourceDeviceId: 'one', timestamp: expect.any(Number) };
        expect(await two.next('device-message')).toEqual({ message: 'for you', ...said });
        expect(two.all('realtime-event')).toEqual([{ type: 'cursor', payload: [1], ...said }]);
        expect(one.all('realtime-event')).toEqual([]);
      },
    );

    behaviour('is seen by the others to come and to go', ['device-connected', 'device-disconnected'], async () => {
      const { token } = await aPair();
      const one = await aDevice(token, 'one');
      const two = await aDevice(token, 'two');
      expect(await one.next('device-connected')).toEqual({ deviceId: 'two', deviceInfo: { deviceId: 'two', name: 'two', type: 'laptop' } }); // prettier-ignore
      two.close();
      expect(await one.next('device-disconnected')).toEqual({ deviceId: 'two', timestamp: expect.any(Number) });
    });
  });

  test('without an ack, an error comes as the event `error`, and the connection goes on', async () => {
    const { web } = await aPair();
    web.emit('web:mark-read', { conversationId: 'never heard of' });
    expect(await web.next('error')).toEqual({
      success: false,
      code: 'conversation_not_found',
      message: 'Conversation not found',
      error: 'Conversation not found',
      requestId: expect.any(String),
    });
    await web.settled();
  });

  test('events of one connection are done in the order they were sent, those before the sign-in is through too', async () => {
    const { token, handset } = await aPair();
    const web = aClient();
    await web.connected();
    web.emit('web:authenticate', { sessionToken: token });
    const acks = Array.from({ length: 20 }, (_, n) => web.send('web:send-message', { phoneNumber: '+1555', message: `${n}`, tempId: `t${n}` })); // prettier-ignore
    for (const ack of await Promise.all(acks)) expect(ack).toMatchObject({ ok: true });
    await handset.next('send:message', undefined, 20);
    expect(handset.all('send:message').map(({ message: text }) => Number(text))).toEqual([...acks.keys()]);
  });

  test('who follows by cursor resumes without a gap and without a repeat, whenever it was cut off', async () => {
    const { token, handset } = await aPair();
    const replica = new Replica();
    const ids = Array.from({ length: 60 }, (_, n) => `m${n}`);
    const writing = (async () => {
      for (const id of ids) await handset.send('mobile:messages', { messages: [message({ id })] });
    })();
    for (let round = 0; replica.arrived.length < ids.length; round++) {
      const follower = aClient({ token, after: replica.cursor });
      const target = Math.min(ids.length, replica.arrived.length + 7);
      const seen = () => follower.all('changes').flatMap(({ changes }) => changes.filter(({ kind }: { kind: string }) => kind === 'message')).length; // prettier-ignore
      await follower.until(() => replica.arrived.length + seen() >= target || undefined);
      follower.close();
      for (const page of follower.all('changes')) replica.take(page);
      expect(round).toBeLessThan(ids.length);
    }
    await writing;
    expect(replica.faults).toEqual([]);
    expect(replica.arrived).toEqual(ids);
  });

  test('every event there is, is tried by one of these', () => {
    const all = [...Object.keys(clientEvents(server.env.limits)), ...Object.keys(serverEvents)];
    const missing = new Set(all.filter((event) => !covered.has(event)));
    expect([...missing].sort()).toEqual([...ELSEWHERE].sort());
  });
});
