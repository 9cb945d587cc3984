import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { memoryStore, openWebClient, type WebClient } from '@pairline/client';
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import QRCode from 'qrcode';
import { Misuse, parseCommandLine } from '../phone/src/arguments.js';
import { Folder } from '../phone/src/folder.js';
import { Ledger } from '../phone/src/ledger.js';
import { cleanUp, later, temporaryFolder } from './support/database.js';
import { until, untilShown } from './support/phone-agent.js';
import { pairlinePhone, runPairlinePhone } from './support/phone-cli.js';
import { FakeAndroid } from './support/phone-termux.js';
import { TestServer } from './support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());
afterEach(cleanUp);

/** A browser that shows a code, and the code. */
async function showing({ url } = server) {
  const web = await openWebClient({ url, store: memoryStore() });
  later(() => web.close());
  const pairing = web.pair({ deviceName: 'Test browser', remember: false });
  await until(
    (again) => pairing.on('state', again),
    () => pairing.state.code,
  );
  return { web, code: pairing.state.code!, link: pairing.state.link! };
}

const untilLive = (web: WebClient) =>
  until(
    (again) => web.on('state', again),
    () => web.state.phase === 'live',
  );

function script(folder: string, fields: object = {}): string {
  const path = join(folder, 'script.json');
  const quiet = { history: { messages: 40 }, events: [], answers: { texts: [] }, sending: { delay: 0, delivered: 0 } };
  writeFileSync(path, JSON.stringify({ ...quiet, ...fields }));
  return path;
}

/** A new simulated phone that lets its first browser in, and runs. */
async function pairedBy(what: string, state: string, env: NodeJS.ProcessEnv = {}) {
  const phone = pairlinePhone(['pair', what, '--simulated', '--name', 'My phone', '--state', state], env);
  await phone.line((line) => line === 'A browser was let in.');
  return phone;
}

/** A simulated phone that was let in and has told everything. */
async function running({ folder = temporaryFolder(), fields = {} } = {}) {
  const state = join(folder, 'state');
  const { web, link } = await showing();
  const phone = pairlinePhone(['--simulated', '--state', state, '--script', script(folder, fields)]);
  phone.type(link);
  await phone.line((line) => line.includes('history is told'));
  await untilLive(web);
  return { phone, web, folder, state };
}

describe('what is typed wrong is said in a sentence', () => {
  test.each([
    [['--sumulated'], 'There is no option --sumulated.'],
    [['-x'], 'There is no option -x.'],
    [['fly'], 'There is no command "fly".'],
    [['--driver', 'pigeon'], 'There is no driver "pigeon": choose one of termux, gammu, simulated.'],
    [['--simulated', '--driver', 'gammu'], '--simulated and --driver gammu do not go together.'],
    [['--url', 'localhost:3000'], '"localhost:3000" is no address of a server: it starts with http:// or https://.'],
    [['--region', 'XX'], '"XX" is no region: give two letters, as DE or US.'],
    [['--name', ' '], 'A name has 1 to 200 characters.'],
    [['--url'], '--url needs a value.'],
    [['--url', '--simulated'], '--url needs a value.'],
    [['--simulated=yes'], '--simulated takes no value.'],
    [['pair', 'one', 'two'], '"two" is one word too many after pair.'],
    [['import'], 'Which file? pairline-phone import FILE.xml'],
    [['resolve', 'x', 'maybe'], 'Say which text and what became of it: pairline-phone resolve ID sent|again|drop'],
  ])('%j', (args, sentence) => {
    expect(() => parseCommandLine(args)).toThrow(new Misuse(sentence));
  });

  test.each([
    [['--nothing'], 'There is no option --nothing.'],
    [['pair', 'no-picture.gif'], 'That is no link, no pairing code and no picture of one (a .png or .jpg file).'],
    [['pair', 'nowhere.png'], 'There is no file nowhere.png.'],
    [['--simulated', '--script', 'nowhere.json'], `There is no file ${join(process.cwd(), 'nowhere.json')}.`],
    [['--simulated'], 'This phone is not paired yet: give the link under the QR code, as in: pairline-phone pair LINK'],
    [['devices'], 'This phone is not paired yet: pairline-phone pair'],
    [[], 'Which phone? --simulated to try things out, --driver termux on Android, --driver gammu with a USB modem.'],
  ])('and with exit code 2: %j', async (args, sentence) => {
    const { code, error } = await runPairlinePhone([...args, '--state', temporaryFolder()]);
    expect({ code, sentence: error.split('\n')[0] }).toEqual({ code: 2, sentence });
  });

  test('a script that is not right', async () => {
    const folder = temporaryFolder();
    const path = script(folder, { events: [{ after: 'soon', from: 'Mia', text: 'x' }] });
    const { code, error } = await runPairlinePhone(['--simulated', '--script', path, '--state', folder]);
    expect({ code, error }).toEqual({ code: 2, error: 'The script cannot be used: events[0].after is not a time such as "5s".' }); // prettier-ignore
  });
});

test('--help names every command and every option, --version the version', async () => {
  const { code, out } = await runPairlinePhone(['--help']);
  expect(code).toBe(0);
  for (const word of ['pair', 'status', 'logs', 'devices', 'import', 'resolve', 'unpair', '--simulated', '--driver', '--url', '--name', '--region', '--state', '--invite', '--script', '--modem', '--gammu-config', '--help', '--version']) expect(out).toContain(word); // prettier-ignore
  expect((await runPairlinePhone(['--version'])).out).toMatch(/^\d+\.\d+\.\d+$/);
});

test('the link pasted, a person is chatting: texts of the phone in the browser, answers on the phone', async () => {
  const { phone, web } = await running({ fields: { answers: { texts: ['Gladly!'], delay: '10ms' } } });
  expect(phone.lines).toEqual(expect.arrayContaining([`Simulated phone, server ${server.url}. Ctrl-C ends it.`, `Connected to ${server.url}.`, 'A browser was let in.'])); // prettier-ignore
  const sent = await web.send({ number: '+12025550101' }, 'Lunch?');
  await phone.line((line) => line === '→ Mia: Lunch?');
  await phone.line((line) => line === '← Mia: Gladly!');
  await untilShown(web, async () => (await web.message(sent.id))?.status === 'delivered');
  expect(await phone.end()).toBe(0);
});

test('it starts again without being asked anything, and only its owner can read what it keeps', async () => {
  const { phone, state, web } = await running();
  await phone.end();
  const again = pairlinePhone(['--state', state]);
  await again.line((line) => line.startsWith('Connected to'));
  await untilLive(web);
  expect(statSync(state).mode & 0o777).toBe(0o700);
  for (const name of readdirSync(state)) {
    const entry = statSync(join(state, name), { throwIfNoEntry: false });
    if (entry?.isFile()) expect([name, entry.mode & 0o777]).toEqual([name, 0o600]);
  }
});

test('status and logs tell how it is going, without contents', async () => {
  const { phone, web, state } = await running({ fields: { fail: ['+12025550199'] } });
  const sent = await web.send({ number: '+12025550199' }, 'A secret');
  await untilShown(web, async () => (await web.message(sent.id))?.status === 'failed');
  const status = await runPairlinePhone(['status', '--state', state]);
  expect(status.out).toMatch(/^The agent is running \(process \d+\)\.\nPaired with http:\S+\.\nConnected since .+\.\nNothing waits to be sent\.$/); // prettier-ignore
  await phone.end();
  expect((await runPairlinePhone(['status', '--state', state])).out).toMatch(/^The agent is not running\./);

  const { out } = await runPairlinePhone(['logs', '--state', state]);
  expect(out).toContain('A text to send came from a browser.');
  expect(out).toContain('A text was not sent: nobody has this number.');
  expect(out).not.toMatch(/secret|2025550|Mia/);
});

test('two agents never work on one folder', async () => {
  const { state } = await running();
  const { code, error } = await runPairlinePhone(['--state', state]);
  expect(code).toBe(1);
  expect(error).toMatch(/^Another pairline-phone \(process \d+\) works with /);
});

test('while it runs, other terminals let in browsers, list devices, import, and take the phone off', async () => {
  const { phone, web, folder, state } = await running();
  const second = await showing();
  expect(await runPairlinePhone(['pair', second.link, '--state', state])).toEqual({ code: 0, out: 'The browser was let in.', error: '' }); // prettier-ignore
  await untilLive(second.web);

  const devices = await runPairlinePhone(['devices', '--state', state]);
  expect(devices.out.match(/Test browser \(browser\)/g)).toHaveLength(2);
  const phoneId = (await web.devices()).find(({ kind }) => kind === 'phone')!.id;
  expect(devices.out).toContain((await web.safetyWords(phoneId))!.join(' '));

  const backup = join(folder, 'backup.xml');
  writeFileSync(backup, '<smses count="1"><sms address="+12025550101" date="1700000000000" type="1" body="From a backup" read="1" contact_name="Mia" /></smses>'); // prettier-ignore
  const imported = await runPairlinePhone(['import', backup, '--state', state]);
  expect(imported).toEqual({ code: 0, out: 'Import: 100 % (1 texts)\n1 read: 1 new, 0 already there, 0 left out.', error: '' }); // prettier-ignore
  await untilShown(second.web, async () => (await second.web.conversations()).length > 0);

  expect(await runPairlinePhone(['unpair', '--state', state])).toMatchObject({ code: 0, out: 'The phone was taken off the server.' }); // prettier-ignore
  expect(await phone.exited).toBe(0);
  expect((await runPairlinePhone(['devices', '--state', state])).code).toBe(2);
});

test('without an agent running, the same commands work by themselves', async () => {
  const folder = temporaryFolder();
  const state = join(folder, 'state');
  const { web, code } = await showing();
  const phone = await pairedBy(code, state);
  await untilLive(web);
  await phone.end();
  expect((await runPairlinePhone(['devices', '--state', state])).out).toContain('My phone (phone, this one)');
  expect((await runPairlinePhone(['import', join(folder, 'nowhere.xml'), '--state', state])).code).toBe(1);
  expect(await runPairlinePhone(['unpair', '--state', state])).toMatchObject({ code: 0 });
});

describe('the code is read', () => {
  /** A picture of a code as a camera sees it: big, turned, not black and white. */
  function photo(code: string) {
    const { modules } = QRCode.create(code, { errorCorrectionLevel: 'M' });
    const scale = 7;
    const edge = 60;
    const size = modules.size * scale + 2 * edge;
    const data = Buffer.alloc(size * size * 4, 255);
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) {
        // Slanted a little, as if the screen were not quite upright.
        const column = Math.floor((x - edge + (y - size / 2) * 0.04) / scale);
        const row = Math.floor((y - edge - (x - size / 2) * 0.04) / scale);
        const inside = column >= 0 && row >= 0 && column < modules.size && row < modules.size;
        const dark = inside && modules.get(row, column) === 1;
        data.set(dark ? [40, 30, 60] : [230, 225, 200], (y * size + x) * 4);
      }
    return { data, width: size, height: size };
  }

  function png(code: string): Buffer {
    const { data, width, height } = photo(code);
    const picture = new PNG({ width, height });
    data.copy(picture.data);
    return PNG.sync.write(picture);
  }

  test.each([
    ['png', png],
    ['jpg', (code: string) => jpeg.encode(photo(code), 70).data],
  ])('from a picture (%s)', async (ending, draw) => {
    const folder = temporaryFolder();
    const { web, code } = await showing();
    const path = join(folder, `code.${ending}`);
    writeFileSync(path, draw(code));
    await pairedBy(path, folder);
    await untilLive(web);
  });

  test('a picture without a code says so', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'white.png');
    const white = new PNG({ width: 50, height: 50 });
    white.data.fill(255);
    writeFileSync(path, PNG.sync.write(white));
    expect(await runPairlinePhone(['pair', path, '--state', folder])).toMatchObject({ code: 2, error: expect.stringContaining('There is no QR code to be seen') }); // prettier-ignore
    writeFileSync(path, 'not a picture');
    expect(await runPairlinePhone(['pair', path, '--state', folder])).toMatchObject({ code: 2, error: expect.stringContaining('cannot be read as a picture') }); // prettier-ignore
  });

  test('from Android’s clipboard and by its camera', async () => {
    const android = new FakeAndroid();
    const folder = temporaryFolder();
    expect(await runPairlinePhone(['pair', 'clipboard', '--state', folder], { env: android.env })).toMatchObject({ code: 2, error: expect.stringContaining('The clipboard is empty') }); // prettier-ignore
    const first = await showing();
    android.set({ clipboard: first.link });
    await pairedBy('clipboard', folder, android.env);
    await untilLive(first.web);

    const second = await showing();
    const path = join(folder, 'code.jpg');
    writeFileSync(path, jpeg.encode(photo(second.code), 80).data);
    android.set({ photo: path });
    expect(await runPairlinePhone(['pair', 'camera', '--state', folder], { env: android.env })).toMatchObject({ code: 0 }); // prettier-ignore
    await untilLive(second.web);
  });

  test('a code that is damaged, or was used, is refused with a reason', async () => {
    const folder = temporaryFolder();
    const { link, web } = await showing();
    expect(await runPairlinePhone(['pair', link.slice(0, -40), '--simulated', '--state', folder])).toMatchObject({ code: 1, error: expect.stringContaining('Copy the whole link') }); // prettier-ignore
    const phone = await pairedBy(link, folder);
    await untilLive(web);
    await phone.end();
    expect(await runPairlinePhone(['pair', link, '--state', folder])).toMatchObject({ code: 1, error: expect.stringMatching(/used|already/i) }); // prettier-ignore
  });
});

test('the first browser sees what is on the phone, also when it was let in by the command for that', async () => {
  const { web, link } = await showing();
  const phone = await pairedBy(link, temporaryFolder());
  await untilShown(web, async () => (await web.conversations()).length > 0);
  expect(await phone.end()).toBe(0);
});

test('a first try with a wrong address is forgotten when another link is given', async () => {
  const state = temporaryFolder();
  writeFileSync(join(state, 'settings.json'), JSON.stringify({ url: 'http://127.0.0.1:1', driver: 'simulated' }));
  const { web, link } = await showing();
  await pairedBy(link, state);
  await untilLive(web);
});

test('an agent that takes no requests is spoken of in a sentence', async () => {
  const state = temporaryFolder();
  const folder = new Folder(state);
  folder.lock();
  later(() => folder.unlock());
  const { link } = await showing();
  const { code, error } = await runPairlinePhone(['pair', link, '--state', state]);
  expect(code).toBe(1);
  expect(error).toMatch(/^The agent \(process \d+\) takes no requests\. .+$/);
});

test('a server that takes phones by invitation is spoken of in a sentence, and an invitation helps', async () => {
  const closed = await TestServer.start({ registration: 'invite', inviteToken: 'come in, please' });
  later(() => closed.stop());
  const state = temporaryFolder();
  const { web, link } = await showing(closed);
  const refused = await runPairlinePhone(['--simulated', '--state', state], { input: link });
  expect(refused).toMatchObject({ code: 2, out: expect.stringMatching(/by invitation only.*--invite TOKEN/), error: '' }); // prettier-ignore
  expect(refused.out).not.toContain('taken off');
  const phone = pairlinePhone(['pair', link, '--simulated', '--state', state, '--invite', 'come in, please']);
  await phone.line((line) => line === 'A browser was let in.');
  await untilLive(web);
});

test('a text of which nobody knows is shown, and settled by a person', async () => {
  const { phone, state } = await running();
  await phone.end();
  const ledger = new Ledger(join(state, 'ledger'));
  ledger.take({ id: 'm1', number: '+12025550101', text: 'Perhaps' }, Date.now());
  ledger.sending('m1', '');
  ledger.close();
  const again = pairlinePhone(['--state', state]);
  await again.line((line) => line.startsWith('Nobody knows whether a text was sent'));
  expect((await runPairlinePhone(['status', '--state', state])).out).toContain(
    'pairline-phone resolve m1 sent|again|drop',
  );
  expect((await runPairlinePhone(['resolve', 'other', 'sent', '--state', state])).code).toBe(1);
  expect((await runPairlinePhone(['resolve', 'm1', 'again', '--state', state])).code).toBe(0);
  await again.line((line) => line === '✓ to Mia');
  await again.end();
  expect((await runPairlinePhone(['resolve', 'm1', 'sent', '--state', state])).code).toBe(1);
});

test('without a server it says so and goes on trying', async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'state'));
  writeFileSync(join(folder, 'state', 'settings.json'), JSON.stringify({ url: `http://127.0.0.1:${port}`, driver: 'simulated', pairedAt: 1 })); // prettier-ignore
  const phone = pairlinePhone(['--state', join(folder, 'state')]);
  await phone.line((line) => line.startsWith(`No connection to http://127.0.0.1:${port}.`));
  expect(await phone.end('SIGINT')).toBe(0);
});

test('an Android phone, through Termux: history, texts both ways, each once', async () => {
  const android = new FakeAndroid({ contacts: [{ name: 'Mia', number: '(202) 555-0101' }] });
  for (let n = 0; n < 25; n++) android.add({ body: `old ${n}`, type: 1 + (n % 2), read: true, address: n % 2 ? '2025550101' : '+12025550101' }); // prettier-ignore
  const state = join(temporaryFolder(), 'state');
  const { web, link } = await showing();
  const phone = pairlinePhone(['--driver', 'termux', '--state', state], android.env);
  phone.type(link);
  await phone.line((line) => line.includes('history is told'));
  await untilLive(web);
  const [conversation] = await untilShown(web, async () => {
    const list = await web.conversations();
    return list[0]?.name === 'Mia' && list;
  });
  expect(conversation!.number).toBe('+12025550101');
  const sent = await web.send({ number: '+12025550101' }, 'From the browser 🎉');
  await untilShown(web, async () => (await web.message(sent.id))?.status === 'sent');
  android.add({ body: 'Got it', address: '+12025550101' });
  await untilShown(web, async () => (await web.messages(conversation!.id)).some(({ text }) => text === 'Got it'));
  const all = await web.messages(conversation!.id, { limit: 100 });
  expect(all).toHaveLength(27);
  expect(android.radio).toEqual([{ address: '+12025550101', body: 'From the browser 🎉' }]);
  expect(await phone.end()).toBe(0);
  expect(android.calls.at(-1)).toEqual(['termux-wake-unlock']);
  expect(readFileSync(join(state, 'agent.log'), 'utf8')).not.toContain('Got it');
});
