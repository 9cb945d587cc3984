import { afterEach, expect, test } from '@jest/globals';
import { memoryStore, type PairingState } from '@pairline/client';
import { cleanUp, later } from './support/database.js';
import { Middleman } from './support/client-between.js';
import { eager, household, inPhase, letIn, paired, phoneAt, shownCode, shows, texts, told, until, webAt } from './support/client-ends.js'; // prettier-ignore
import { generateQr, message as existingMessage, phone as existingPhone } from './support/clients.js';
import { TestServer } from './support/server.js';

afterEach(cleanUp);

async function server(options?: Parameters<typeof TestServer.start>[0]): Promise<TestServer> {
  const started = await TestServer.start(options);
  later(() => started.stop());
  return started;
}

/** All that a client keeps, as one text. */
async function kept(store: ReturnType<typeof memoryStore>): Promise<string> {
  return JSON.stringify(await store.read(async (tx) => [await tx.value('keyring'), await tx.value('session')]));
}

test('neither the secret of a code nor any private or content key ever goes to the server', async () => {
  const { url } = await server();
  const middleman = await Middleman.start(url);
  const [phoneStore, firstStore, secondStore] = [memoryStore(), memoryStore(), memoryStore()];
  const phone = await phoneAt(middleman.url, { store: phoneStore });
  const first = await webAt(middleman.url, { store: firstStore });
  const second = await webAt(middleman.url, { store: secondStore });
  const secrets: string[] = [];

  for (const [by, web] of [
    [phone, first],
    [first, second],
  ] as const) {
    // prettier-ignore
    const pairing = web.pair({ deviceName: 'A browser', remember: true });
    const code = await shownCode(pairing);
    secrets.push((JSON.parse(code) as { secret: string }).secret);
    await ('approve' in by ? by.approve(pairing.state.link!) : by.pair(code));
    await paired(pairing);
    await inPhase(web, 'live');
  }
  await phone.putMessages([told('A text that is nobody’s business')]);
  await shows(second, async () => texts(await second.messages('t1'))[0] === 'A text that is nobody’s business');
  await second.send({ conversationId: 't1' }, 'Nor is this one');
  await shows(first, async () => texts(await first.messages('t1')).includes('Nor is this one'));

  for (const store of [phoneStore, firstStore, secondStore]) {
    const { device, epochs } = (await store.read((tx) => tx.value('keyring')))!;
    secrets.push(device.privateKey, ...Object.values(epochs));
  }
  expect(new Set(secrets).size).toBeGreaterThan(5);
  const sent = middleman.sent.join('\n');
  for (const secret of secrets) expect(sent).not.toContain(secret);
  for (const text of ['business', 'Nor is this', '+15550100', '15550100']) expect(sent).not.toContain(text);
  // The recording would have it: the tokens of the codes are there, and the aliases.
  expect(sent).toContain('mobile:scan-qr');
  expect(sent).toMatch(/~[0-9a-f]{32}/);
});

test('both sides of a pairing show the same safety words, and know each other as verified', async () => {
  const { url } = await server();
  const { phone, webs } = await household(url, 1);
  const web = webs[0]!;
  const third = await webAt(url);
  await letIn(web, third);
  await inPhase(third, 'live');
  const devices = await shows(web, async () => {
    const list = await web.devices();
    return list.length === 3 && list.every(({ verified }) => verified) && list;
  });
  const idOf = (kind: string, current = false) => devices.find((it) => it.kind === kind && it.current === current)!.id;
  const words = await web.safetyWords(idOf('phone'));
  expect(words).toHaveLength(6);
  expect(await phone.safetyWords(idOf('browser', true))).toEqual(words);
  expect(await third.safetyWords(idOf('browser', true))).toEqual(await web.safetyWords(idOf('browser')));
  // The phone was not there when the third was let in: it learned of it from the account.
  await until(async () => (await phone.devices()).every(({ verified }) => verified), (again) => [phone.on('devices', again)]); // prettier-ignore
});

test('keys that were swapped on the way to the browser are refused, and its session is ended', async () => {
  const { url } = await server();
  const middleman = await Middleman.start(url);
  const phone = await phoneAt(middleman.url);
  const web = await webAt(middleman.url);
  // The server has an account of its own, and hands over the keys of that.
  const other = await phoneAt(url);
  const otherWeb = await webAt(url);
  let swapped: string | undefined;
  const thief = await Middleman.start(url);
  thief.lies.reply = (path, body) => {
    if (path.endsWith('wait-pairing')) swapped = body.data.keys;
    return undefined;
  };
  const tapped = await webAt(thief.url);
  await letIn(other, tapped);
  await letIn(other, otherWeb);
  middleman.lies.reply = (path, body) => {
    if (!path.endsWith('wait-pairing')) return undefined;
    return { ...body, data: { ...body.data, keys: swapped } };
  };

  const pairing = web.pair({ deviceName: 'A browser', remember: true });
  await phone.pair(await shownCode(pairing));
  const problem = await until(() => pairing.state.problem, (again) => [pairing.on('state', again)]); // prettier-ignore
  expect(problem).toBe('no_keys');
  expect(web.state.phase).toBe('signed-out');
  expect((await phone.devices()).map(({ kind }) => kind)).toEqual(['phone']);
});

test('a key that the server puts into the code it offers counts for nothing', async () => {
  const { url } = await server();
  const middleman = await Middleman.start(url);
  const evil = { key: 'A'.repeat(43), secret: 'B'.repeat(43) };
  middleman.lies.reply = (path, body) => {
    if (!path.startsWith('/api/auth/generate-qr')) return undefined;
    const qrData = JSON.stringify({ ...JSON.parse(body.data.qrData), ...evil });
    return { ...body, data: { ...body.data, qrData } };
  };
  const web = await webAt(middleman.url);
  const code = JSON.parse(await shownCode(web.pair({ deviceName: 'A browser', remember: true })));
  expect(code.key).not.toBe(evil.key);
  expect(code.secret).not.toBe(evil.secret);
});

test('a code is renewed before it expires, and the one before it still lets in', async () => {
  const { url } = await server({ pairingTtlMs: 4000 });
  const phone = await phoneAt(url);
  const web = await webAt(url);
  const pairing = web.pair({ deviceName: 'A browser', remember: true });
  const first = await shownCode(pairing);
  await until(() => pairing.state.code !== undefined && pairing.state.code !== first, (again) => [pairing.on('state', again)]); // prettier-ignore
  await phone.pair(first);
  await paired(pairing);
  await inPhase(web, 'live');
});

test('a pairing tells its steps in order', async () => {
  const { url } = await server();
  const phone = await phoneAt(url);
  const web = await webAt(url);
  const steps: PairingState['step'][] = [];
  const pairing = web.pair({ deviceName: 'A browser', remember: true });
  pairing.on('state', ({ step }) => steps.push(step));
  await phone.pair(await shownCode(pairing));
  await paired(pairing);
  expect(steps).toEqual(['waiting', 'scanned', 'done']);
  expect(web.state.encrypted).toBe(true);
});

test('a phone refuses what is no code, a code of another server, a used one, and one of a page without encryption', async () => {
  const { url } = await server();
  const phone = await phoneAt(url);
  await inPhase(phone, 'live');
  await expect(phone.pair('hello')).rejects.toMatchObject({ code: 'bad_code' });
  await expect(phone.pair((await generateQr(url)).qrData)).rejects.toMatchObject({ code: 'bad_code' });
  const elsewhere = await webAt((await server()).url);
  const code = await shownCode(elsewhere.pair({ deviceName: 'Elsewhere', remember: true }));
  await expect(phone.pair(code)).rejects.toMatchObject({ code: 'wrong_server' });
  const web = await webAt(url);
  const pairing = web.pair({ deviceName: 'A browser', remember: true });
  const good = await shownCode(pairing);
  await phone.pair(good);
  await expect(phone.pair(good)).rejects.toMatchObject({ code: 'pairing_used' });
});

test('an existing phone without keys lets a browser in, and the browser says that nothing is encrypted', async () => {
  const { url } = await server();
  const phone = await existingPhone(url);
  later(() => phone.close());
  const web = await webAt(url);
  const pairing = web.pair({ deviceName: 'A browser', remember: true });
  const ack = await phone.send('mobile:scan-qr', { qrData: await shownCode(pairing), deviceId: phone.deviceId });
  expect(ack).toMatchObject({ ok: true });
  await paired(pairing);
  await inPhase(web, 'live');
  expect(web.state.encrypted).toBe(false);

  await phone.send('mobile:messages', { messages: [existingMessage({ body: 'In the clear' })] });
  await shows(web, async () => texts(await web.messages('thread-1'))[0] === 'In the clear');
  expect(await web.conversations()).toMatchObject([{ number: '+15550100', lastText: 'In the clear', unread: 1 }]);
  const { id } = await web.send({ conversationId: 'thread-1' }, 'Also in the clear');
  const offer = await phone.next('send:message');
  expect(offer).toEqual({ phoneNumber: '+15550100', message: 'Also in the clear', tempId: id });
  await web.setFlags('thread-1', { pinned: true });
  expect(await web.conversation('thread-1')).toMatchObject({ pinned: true });
});

test('a pairing that is cancelled shows nothing more, and its waits end', async () => {
  const { url } = await server();
  const web = await webAt(url);
  const pairing = web.pair({ deviceName: 'A browser', remember: true });
  await shownCode(pairing);
  const states: PairingState[] = [];
  pairing.on('state', (state) => states.push(state));
  pairing.cancel();
  await web.close();
  expect(states).toEqual([]);
});

test('what a client keeps is gone after signing out, on the server too', async () => {
  const { url } = await server();
  const phone = await phoneAt(url);
  const store = memoryStore();
  const web = await webAt(url, { store });
  await letIn(phone, web);
  await inPhase(web, 'live');
  expect(await kept(store)).toContain('privateKey');
  await web.signOut();
  expect(web.state).toMatchObject({ phase: 'signed-out' });
  expect(await kept(store)).toBe('[null,null]');
  expect(await phone.devices()).toHaveLength(1);
});

/** A browser that was let in, and whose session the server has then ended. */
async function endedSession() {
  const { url } = await server();
  const middleman = await Middleman.start(url);
  const [phoneStore, store] = [memoryStore(), memoryStore()];
  const phone = await phoneAt(url, { store: phoneStore });
  const web = eager(await webAt(middleman.url, { store }));
  await letIn(phone, web);
  await inPhase(web, 'live');
  await phone.putMessages([told('From before')]);
  await shows(web, async () => texts(await web.messages('t1'))[0] === 'From before');
  middleman.lies.reply = (path) =>
    path.startsWith('/api/changes') ? { success: false, code: 'session_expired', message: 'Over' } : undefined;
  middleman.interrupt();
  await inPhase(web, 'signed-out');
  middleman.lies = {};
  return { phone, phoneStore, store, web, middleman };
}

test('an account that was encrypted here is not taken back without its keys', async () => {
  const { phone, phoneStore, store, web, middleman } = await endedSession();
  middleman.lies.reply = (path, body) =>
    path.includes('wait-pairing') && body.success ? { ...body, data: { ...body.data, keys: undefined } } : undefined;
  const pairing = web.pair({ deviceName: 'A browser', remember: true });
  await phone.pair(await shownCode(pairing));
  await until(() => pairing.state.step === 'failed', (again) => [pairing.on('state', again)]); // prettier-ignore
  expect(pairing.state.problem).toBe('no_keys');
  expect(web.state.phase).toBe('signed-out');
  expect(await kept(store)).toContain('privateKey');

  middleman.lies = {};
  // The session without keys is over, and the phone has begun an epoch without it.
  const epochs = () => phoneStore.read(async (tx) => Object.keys((await tx.value('keyring'))!.epochs).length);
  await until(async () => (await epochs()) === 2, (again) => [phone.on('devices', again)]); // prettier-ignore
  await letIn(phone, web);
  await inPhase(web, 'live');
  expect(web.state.encrypted).toBe(true);
  expect(texts(await web.messages('t1'))).toEqual(['From before']);
});

test('what a session that ended left behind can be removed', async () => {
  const { store, web } = await endedSession();
  expect(await kept(store)).toContain('privateKey');
  await web.signOut();
  expect(await kept(store)).toBe('[null,null]');
  expect(await web.messages('t1')).toEqual([]);
});

test('a pairing that the server refuses outright fails, instead of showing code after code', async () => {
  const { url } = await server();
  const middleman = await Middleman.start(url);
  middleman.lies.reply = (path) =>
    path.includes('wait-pairing') ? { success: false, code: 'bad_request', message: 'No such thing' } : undefined;
  const phone = await phoneAt(url);
  const web = await webAt(middleman.url);
  const pairing = web.pair({ deviceName: 'A browser', remember: true });
  const code = await shownCode(pairing);
  await phone.pair(code);
  await until(() => pairing.state.step === 'failed' || pairing.state.code !== code, (again) => [pairing.on('state', again)]); // prettier-ignore
  expect(pairing.state).toEqual({ step: 'failed', problem: 'bad_request' });
  // Nothing stands in the way of another try.
  middleman.lies = {};
  pairing.retry();
  await shownCode(pairing);
});
