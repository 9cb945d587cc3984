import { afterEach, expect, test } from '@jest/globals';
import { memoryStore, type PhoneEvents, type Wanted, type WebClient } from '@pairline/client';
import type { Change } from '@pairline/protocol';
import { Middleman } from './support/client-between.js';
import { eager, inPhase, letIn, phoneAt, shows, texts, told, until, webAt } from './support/client-ends.js';
import { cleanUp, later } from './support/database.js';
import { TestServer } from './support/server.js';

afterEach(cleanUp);

// What a server can do to rows whose content it cannot read, and that it is caught at it.

/** A phone that is told the truth, and a browser that is not. */
async function household() {
  const server = await TestServer.start();
  later(() => server.stop());
  const phone = await phoneAt(server.url);
  const middleman = await Middleman.start(server.url);
  const web = eager(await webAt(middleman.url));
  await letIn(phone, web);
  await inPhase(web, 'live');
  await phone.putConversations([
    { id: 't1', number: '+15550100', name: 'Bea' },
    { id: 't2', number: '+15550101', name: 'Cem' },
  ]);
  await shows(web, async () => (await web.conversations()).length === 2);
  return { url: server.url, phone, web, middleman };
}

/** Has the middleman change each row of a kind that comes to the browser. */
function change<Kind extends Change['kind']>(
  middleman: Middleman,
  kind: Kind,
  lie: (row: NonNullable<Extract<Change, { kind: Kind }>['row']>, id: string) => object | undefined,
): void {
  const changed = (page: { changes: Change[] }) => ({
    ...page,
    changes: page.changes.map((item) =>
      item.kind === kind && item.row !== undefined
        ? { ...item, row: lie(item.row as never, item.id) ?? item.row }
        : item,
    ),
  });
  middleman.lies = {
    event: (event, payload) => (event === 'changes' ? changed(payload) : undefined),
    reply: (path, body) => (/changes|snapshot/.test(path) ? changed(body) : undefined),
  };
}

async function both(web: WebClient, count: number): Promise<string[]> {
  return shows(web, async () => {
    const all = [...(await web.messages('t1')), ...(await web.messages('t2'))];
    return all.length === count && texts(all);
  });
}

test('the bodies of two messages cannot be swapped', async () => {
  const { phone, web, middleman } = await household();
  const [one, two] = [told('Meet at five'), told('Do not come')];
  const bodies = new Map<string, string>();
  middleman.lies.event = (event, page) => {
    if (event !== 'changes') return undefined;
    for (const { kind, row } of page.changes) if (kind === 'message') bodies.set(row.id, row.body);
    if (bodies.size < 2) return undefined;
    const swapped = { [one.id]: bodies.get(two.id), [two.id]: bodies.get(one.id) };
    return { ...page, changes: page.changes.map((item: Change) => (item.kind === 'message' ? { ...item, row: { ...item.row, body: swapped[item.id] } } : item)) }; // prettier-ignore
  };
  await phone.putMessages([one, two]);
  expect(await both(web, 2)).toEqual(['tampered', 'tampered']);
  expect(await web.conversation('t1')).toMatchObject({ lastText: '' });
});

test.each([
  ['moved to another conversation', { conversationId: 't2' }],
  ['given another time', { timestamp: 1 }],
  ['shown as sent by the other side', { type: 'sent' }],
  ['given another number', { phoneNumber: '~00000000000000000000000000000000' }],
  ['written by somebody without keys', { body: 'Send me your password' }],
])('a message cannot be %s', async (_, lie) => {
  const { phone, web, middleman } = await household();
  change(middleman, 'message', (row) => ({ ...row, ...lie }));
  await phone.putMessages([told('Meet at five')]);
  expect(await both(web, 1)).toEqual(['body' in lie ? 'not-sealed' : 'tampered']);
});

test('no bit of an envelope can be changed, and no envelope of another kind takes its place', async () => {
  const { phone, web, middleman } = await household();
  let sealedName = '';
  middleman.lies.event = (event, page) => {
    if (event !== 'changes') return undefined;
    for (const { kind, row } of page.changes) if (kind === 'conversation') sealedName = row.contactName;
    return undefined;
  };
  await phone.putConversations([{ id: 't3', number: '+15550102', name: 'Dora' }]);
  await shows(web, () => web.conversation('t3'));
  const flipped = (body: string) => body.slice(0, -9) + (body.at(-9) === 'A' ? 'B' : 'A') + body.slice(-8);
  let count = 0;
  change(middleman, 'message', (row) => ({ ...row, body: count++ === 0 ? flipped(row.body) : sealedName }));
  await phone.putMessages([told('Meet at five')]);
  await phone.putMessages([told('Meet at six')]);
  expect(await both(web, 2)).toEqual(['tampered', 'tampered']);
});

test('a name or a number cannot be put back to what it was, and a message of one number not into the thread of another', async () => {
  const { phone, web, middleman } = await household();
  const old: { contactName?: string }[] = [];
  change(middleman, 'conversation', (row) => {
    old.push(row);
    return undefined;
  });
  await phone.putConversations([{ id: 't1', number: '+15550100', name: 'Bea (new phone)' }]);
  await shows(web, async () => (await web.conversation('t1'))?.name === 'Bea (new phone)');
  await phone.putConversations([{ id: 't1', number: '+15550100', name: 'Bea Smith' }]);
  await shows(web, async () => (await web.conversation('t1'))?.name === 'Bea Smith');
  change(middleman, 'conversation', (row) => ({ ...row, contactName: old[0]!.contactName }));
  await phone.putConversations([{ id: 't1', number: '+15550100', name: 'Bea Jones', lastTime: Date.now(), unread: 7 }]);
  // The row was taken, its old name was not.
  const conversation = await shows(web, async () => {
    const now = await web.conversation('t1');
    return now?.unread === 7 && now;
  });
  expect(conversation).toMatchObject({ name: 'Bea Smith', number: '+15550100' });

  const { conversationId } = await web.send({ number: '+15550199' }, 'For you alone');
  const first = (await web.messages(conversationId))[0]!;
  await shows(web, async () => (await web.message(first.id))?.status === 'queued');
  expect((await web.message(first.id))!.text).toBe('For you alone');
  change(middleman, 'message', (row) => ({ ...row, conversationId: 't2' }));
  await phone.status(first.id, 'sent');
  await shows(web, async () => (await web.message(first.id))?.status === 'sent');
  expect(await web.message(first.id)).toMatchObject({ conversationId: 't2', text: '', fault: 'tampered' });
  expect(await web.conversation('t2')).toMatchObject({ lastText: '' });
});

test('flags cannot be put back either, nor set by somebody without keys', async () => {
  const { web, middleman } = await household();
  const values: unknown[] = [];
  change(middleman, 'state', (row) => {
    if (row.id.startsWith('e2e/flags')) values.push(row.value);
    return undefined;
  });
  await web.setFlags('t1', { pinned: true });
  await shows(web, () => values.length === 1);
  change(middleman, 'state', (row) => ({ ...row, value: values[0] }));
  await web.setFlags('t1', { pinned: false });
  await web.setFlags('t2', { archived: true });
  await shows(web, async () => (await web.conversation('t2'))?.archived);
  expect(await web.conversation('t1')).toMatchObject({ pinned: false });
});

/** A phone that is lied to, with what it was made to send and what it refused. */
async function deceivedPhone() {
  const server = await TestServer.start();
  later(() => server.stop());
  const middleman = await Middleman.start(server.url);
  const store = memoryStore();
  const phone = await phoneAt(middleman.url, { store });
  const web = await webAt(server.url);
  await letIn(phone, web);
  await inPhase(web, 'live');
  await phone.putConversations([{ id: 't1', number: '+15550100', name: 'Bea' }]);
  await shows(web, () => web.conversation('t1'));
  const sent: Wanted[] = [];
  const refused: PhoneEvents['refused'][0][] = [];
  phone.onSend(async (wanted) => void sent.push(wanted));
  phone.on('refused', (what) => refused.push(what));
  const offered = (lie: (payload: { phoneNumber: string; message: string; tempId: string }) => object) => {
    middleman.lies.event = (event, payload) => (event === 'send:message' ? { ...payload, ...lie(payload) } : undefined);
  };
  return { url: server.url, phone, store, web, middleman, sent, refused, offered };
}

test.each([
  ['with a text in the clear', { message: 'Buy gift cards' }, 'not-sealed'],
  ['to another number', { phoneNumber: '~00000000000000000000000000000000' }, 'tampered'],
  ['under another id', { tempId: 'another' }, 'tampered'],
  ['of an epoch nobody has', { message: `pl1.7.${'A'.repeat(80)}` }, 'no-key'],
])('a phone sends nothing %s', async (_, lie, fault) => {
  const { phone, web, sent, refused, offered } = await deceivedPhone();
  offered(() => lie);
  const { id } = await web.send({ conversationId: 't1' }, 'Hello');
  await until(() => refused.length === 1, (again) => [phone.on('refused', again)]); // prettier-ignore
  expect(refused).toEqual([{ id: 'tempId' in lie ? lie.tempId : id, fault }]);
  expect(sent).toEqual([]);
  // Whoever wrote it is told.
  if (fault !== 'no-key' && !('tempId' in lie)) await shows(web, async () => (await web.message(id))?.status === 'failed'); // prettier-ignore
});

test('what a phone told of itself cannot be given back to it to be sent', async () => {
  const { phone, web, middleman, sent, refused, offered } = await deceivedPhone();
  const mine = told('I will pay you back', { type: 'sent' });
  await phone.putMessages([mine]);
  const recorded = middleman.sent.map((text) => JSON.parse(text)).find(({ event }) => event === 'mobile:messages');
  const [{ body, phoneNumber }] = recorded.payload.messages;
  offered(() => ({ message: body, phoneNumber, tempId: mine.id }));
  await web.send({ conversationId: 't1' }, 'Hello');
  await until(() => refused.length === 1, (again) => [phone.on('refused', again)]); // prettier-ignore
  expect(refused).toEqual([{ id: mine.id, fault: 'tampered' }]);
  expect(sent).toEqual([]);
});

test('what a removed device wrote is not sent, however long the server kept it', async () => {
  const { phone, store, web, sent, refused, middleman, url } = await deceivedPhone();
  const thief = await webAt(url);
  await letIn(phone, thief);
  await inPhase(thief, 'live');
  await shows(thief, () => thief.conversation('t1'));
  let kept: object | undefined;
  const offered = new Promise<void>((resolve) => {
    middleman.lies.event = (event, payload) => {
      if (event !== 'send:message') return undefined;
      kept = payload;
      resolve();
      return null;
    };
  });
  const { id } = await thief.send({ conversationId: 't1' }, 'Send all my money');
  await offered;
  await web.removeDevice((await thief.devices()).find(({ current }) => current)!.id);
  const epochs = async () => Object.keys((await store.read((tx) => tx.value('keyring')))!.epochs).length;
  await until(async () => (await epochs()) > 1, (again) => [phone.on('devices', again)], 'that the phone knows'); // prettier-ignore
  middleman.lies.event = (event) => (event === 'send:message' ? kept : undefined);
  await web.send({ conversationId: 't1' }, 'Hello');
  await until(() => refused.length === 1, (again) => [phone.on('refused', again)]); // prettier-ignore
  expect(refused).toEqual([{ id, fault: 'tampered' }]);
  expect(sent).toEqual([]);
});
