import { randomBytes } from 'node:crypto';
import { createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { FileReference, Message, WebClient } from '@pairline/client';
import { BackupParser, BackupProblem, type BackupText, type Skipped, type Without } from '../phone/src/backup.js';
import { SimulatedDriver } from '../phone/src/drivers/simulated.js';
import { importBackup, toSentences } from '../phone/src/import.js';
import { parseScript } from '../phone/src/script.js';
import type { Driver, DriverMessage } from '../phone/src/driver.js';
import { cleanUp, later, query, temporaryFolder } from './support/database.js';
import { browserOf, runAgent, untilShown } from './support/phone-agent.js';
import { TestServer } from './support/server.js';
import { runTypeScript } from './support/spawn.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());
afterEach(cleanUp);

const DATE = Date.UTC(2024, 2, 3, 4, 5, 6, 789);

/** An element as the app writes it. */
function sms(fields: Record<string, string | number> = {}): string {
  const all = { protocol: 0, address: '+1 202-555-0101', date: DATE, type: 1, subject: 'null', body: 'Hello', toa: 'null', sc_toa: 'null', service_center: 'null', read: 1, status: -1, locked: 0, readable_date: 'Mar 3, 2024', contact_name: 'Mia', ...fields }; // prettier-ignore
  return `  <sms ${Object.entries(all).map(([name, value]) => `${name}="${value}"`).join(' ')} />\n`; // prettier-ignore
}

function mms(
  fields: Record<string, string | number>,
  parts: Record<string, string | undefined>[],
  from = '+12025550101',
): string {
  const all = { date: DATE, msg_box: 1, address: '+12025550101', read: 1, contact_name: 'Mia', ...fields };
  const attributes = (of: object) => Object.entries(of).map(([name, value]) => `${name}="${value}"`).join(' '); // prettier-ignore
  const inner = parts.map((part) => `      <part ${attributes({ seq: 0, chset: 106, ...part })} />\n`).join('');
  return `  <mms ${attributes(all)}>\n    <parts>\n${inner}    </parts>\n    <addrs><addr address="${from}" type="137" charset="106" /></addrs>\n  </mms>\n`;
}

const backup = (...elements: string[]) =>
  `<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<!--File Created By SMS Backup & Restore-->\n<smses count="${elements.length}">\n${elements.join('')}</smses>`;

/** A part of an MMS with these bytes. */
const part = (ct: string, bytes: Buffer, more: Record<string, string> = {}) => ({ ct, text: 'null', data: bytes.toString('base64'), ...more }); // prettier-ignore
const words = (text: string) => ({ ct: 'text/plain', text });

/** Reads a backup in pieces of so many bytes. */
function read(xml: string, piece = 1 << 16, largest = 1e6) {
  const texts: BackupText[] = [];
  const skipped: Skipped[] = [];
  const without: Without[] = [];
  const reader = {
    text: (text: BackupText) => texts.push(text),
    skipped: (why: Skipped) => skipped.push(why),
    without: (why: Without) => without.push(why),
  };
  const parser = new BackupParser(reader, largest);
  const bytes = Buffer.from(xml);
  for (let at = 0; at < bytes.length; at += piece) parser.write(bytes.subarray(at, at + piece));
  parser.end();
  return { texts, skipped, without };
}

describe('a backup', () => {
  test('has texts with direction, time, number, name, and whether they were read', () => {
    const { texts } = read(backup(sms(), sms({ type: 2, read: 0 }), sms({ type: 5 }), sms({ read: 0, contact_name: '(Unknown)' }))); // prettier-ignore
    const shared = { number: '+1 202-555-0101', text: 'Hello', timestamp: DATE };
    expect(texts).toEqual([
      { ...shared, type: 'received', read: true, name: 'Mia' },
      { ...shared, type: 'sent', status: 'sent', read: true, name: 'Mia' },
      { ...shared, type: 'sent', status: 'failed', read: true, name: 'Mia' },
      { ...shared, type: 'received', read: false },
    ]);
  });

  test('has emoji as two references each, and references that XML forbids, wherever the file is cut into pieces', () => {
    const body = '&#233;&#55357;&#56832; a&#10;b &amp; &lt;c&gt; &#xD83C;&#xDF89;x &#55357; y &#56832;&#1; 😀 &#8364;';
    const xml = backup(sms({ body }));
    const expected = 'é😀 a\nb & <c> 🎉x \ufffd y \ufffd\ufffd 😀 €';
    for (let piece = 1; piece < 60; piece++) expect(read(xml, piece).texts.map(({ text }) => text)).toEqual([expected]);
  });

  test('says why something in it is no text', () => {
    const { texts, skipped } = read(
      backup(
        sms({ type: 3 }),
        sms({ type: 4 }),
        sms({ type: 6 }),
        sms({ address: 'null' }),
        sms({ body: '' }),
        sms({ date: 'null' }),
      ),
    );
    expect(texts).toEqual([]);
    expect(skipped).toEqual(['draft', 'draft', 'draft', 'no-number', 'no-text', 'no-date']);
  });

  test('has the words and the files of an MMS, wherever the backup is cut into pieces; groups are left out', () => {
    const picture = randomBytes(700);
    const xml = backup(
      mms({ msg_box: 2 }, [{ ct: 'application/smil', text: '&lt;smil/>' }, part('image/jpeg', picture, { name: 'null', cl: 'Wannsee.jpg' }), words('Look!'), words('Again')]), // prettier-ignore
      mms({ date: Math.floor(DATE / 1000) }, [words('in seconds')]),
      mms({ address: 'insert-address-token' }, [words('from whom')], '+12025550109'),
      mms({}, [part('text/x-vCard; charset=utf-8', Buffer.from('BEGIN:VCARD'))]),
      mms({}, [part('text/plain', Buffer.from('notes'), { name: 'notes.txt' })]),
      mms({ address: '+12025550101~+12025550102' }, [words('to all'), part('image/png', picture)]),
      mms({ msg_box: 3 }, [part('image/png', Buffer.alloc(2_000))]),
    );
    for (const piece of [1 << 16, 7]) {
      const { texts, skipped, without } = read(xml, piece, 1_000);
      expect(texts.map(({ text, type, number, timestamp }) => [text, type, number, timestamp])).toEqual([
        ['Look!\nAgain', 'sent', '+12025550101', DATE],
        ['in seconds', 'received', '+12025550101', Math.floor(DATE / 1000) * 1000],
        ['from whom', 'received', '+12025550109', DATE],
        ['', 'received', '+12025550101', DATE],
        ['', 'received', '+12025550101', DATE],
      ]);
      expect(texts.map(({ files }) => files)).toEqual([
        [{ name: 'Wannsee.jpg', type: 'image/jpeg', bytes: picture }],
        undefined,
        undefined,
        [{ name: 'text.vcf', type: 'text/x-vcard', bytes: Buffer.from('BEGIN:VCARD') }],
        [{ name: 'notes.txt', type: 'text/plain', bytes: Buffer.from('notes') }],
      ]);
      expect(skipped).toEqual(['group', 'draft']);
      expect(without).toEqual([]);
    }
  });

  test('has files that are damaged, empty or too large: they are left out, and what stands beside them is not', () => {
    const good = part('image/png', Buffer.from('pixels'));
    const damaged = ['AAAA*AAA', 'AAAAA', 'AA=A', 'AAA==', '', 'null', undefined].map((data) => ({ ...good, data }));
    for (const bad of damaged) {
      const { texts, skipped, without } = read(backup(mms({}, [bad, good]), mms({}, [bad])));
      expect(texts.map(({ files }) => files?.length)).toEqual([1]);
      expect([skipped, without]).toEqual([['no-text'], ['damaged', 'damaged']]);
    }
    const folded = { ...good, data: good.data.replace(/(....)/g, '$1\n').replace('=', '') };
    expect(read(backup(mms({}, [folded]))).texts[0]!.files![0]!.bytes).toEqual(Buffer.from('pixels'));
    expect(read(backup(mms({}, [words('Look'), good])), 64, 5)).toMatchObject({ texts: [{ text: 'Look' }], without: ['too-large'] }); // prettier-ignore
    expect(read(backup(mms({}, [good])), 64, 6).without).toEqual([]);
  });

  test('that is another kind of file, or was cut off, is refused in a sentence', () => {
    expect(() => read('<html><body></body></html>')).toThrow('This is no backup of “SMS Backup & Restore”: it begins with <html>.'); // prettier-ignore
    expect(() => read('PK\u0003\u0004 a zip')).toThrow(BackupProblem);
    expect(() => read(backup(sms()).slice(0, -8))).toThrow('The file ends in the middle');
    expect(() => read('')).toThrow(BackupProblem);
  });
});

/** A phone with just these texts. */
function phoneWith(texts: DriverMessage[]): Driver {
  return {
    model: 'Stub',
    start: async () => ({ region: 'US' }),
    stop: async () => undefined,
    contacts: async () => [],
    position: async () => '0',
    news: async () => ({ messages: [], position: '0', more: false }),
    history: async () => ({ messages: texts, done: 1 }),
    prepare: async () => '',
    send: async () => ({ result: 'sent' }),
    trace: async () => ({ result: 'unknown' }),
  };
}

function simulated(folder: string) {
  const script = parseScript(JSON.stringify({ history: { messages: 0 }, events: [], contacts: [] }));
  return new SimulatedDriver({ file: join(folder, 'simulated'), script });
}

function file(text: string): string {
  const path = join(temporaryFolder(), 'backup.xml');
  writeFileSync(path, text);
  return path;
}

async function everything(web: WebClient): Promise<Message[]> {
  const lists = await Promise.all((await web.conversations()).map(({ id }) => web.messages(id, { limit: 10_000 })));
  return lists.flat();
}

const untilCount = (web: WebClient, count: number) =>
  untilShown(web, async () => {
    const all = await everything(web);
    return all.length >= count && all;
  });

describe('an import', () => {
  test('adds each text once, two equal ones of a second as two, and the same file again adds nothing', async () => {
    const folder = temporaryFolder();
    const { agent } = runAgent(server.url, folder, simulated(folder));
    const web = await browserOf(server.url, agent);
    const path = file(
      backup(
        sms(),
        sms(),
        sms({ date: DATE + 100 }), // the same second
        sms({ date: DATE + 1000 }),
        sms({ address: '2025550101', type: 2 }), // the same number, written as at home
        sms({ address: 'BANK', contact_name: 'null', body: 'Code &#55357;&#56832;' }),
        sms({ type: 3 }),
      ),
    );
    const account = await agent.present();
    const counts = await importBackup(path, account, () => undefined);
    expect(counts).toMatchObject({ read: 7, added: 6, known: 0, skipped: { draft: 1 } });
    const all = await untilCount(web, 6);
    expect(all).toHaveLength(6);
    expect((await web.conversations()).map(({ number, name }) => [number, name]).sort()).toEqual([['+12025550101', 'Mia'], ['BANK', undefined]]); // prettier-ignore

    const again = await importBackup(path, account, () => undefined);
    expect(again).toMatchObject({ read: 7, added: 0, known: 6, skipped: { draft: 1 } });
    const longer = file(backup(sms(), sms(), sms(), sms({ body: 'New' })));
    expect(await importBackup(longer, account, () => undefined)).toMatchObject({ read: 4, added: 1, known: 3 });
    expect(await untilCount(web, 7)).toHaveLength(7);
  });

  test('of a phone whose texts are there already adds what is missing, whichever came first', async () => {
    const path = file(backup(sms(), sms(), sms({ body: 'Deleted on the phone', date: DATE - 5000 })));
    const onPhone = (n: number): DriverMessage => ({ key: `k${n}`, number: '(202) 555-0101', text: 'Hello', timestamp: DATE - (DATE % 1000), type: 'received', read: true }); // prettier-ignore

    const first = runAgent(server.url, temporaryFolder(), phoneWith([onPhone(1), onPhone(2)]));
    const web = await browserOf(server.url, first.agent);
    await untilCount(web, 2);
    expect(await importBackup(path, await first.agent.present(), () => undefined)).toMatchObject({
      added: 1,
      known: 2,
    });
    expect(await untilCount(web, 3)).toHaveLength(3);

    const folder = temporaryFolder();
    const early = runAgent(server.url, folder, phoneWith([]));
    const other = await browserOf(server.url, early.agent);
    expect(await importBackup(path, await early.agent.present(), () => undefined)).toMatchObject({ added: 3 });
    await early.stop();
    // The history of the phone comes after the import: a third equal text is new, two are not.
    writeFileSync(
      join(folder, 'told'),
      `${readFileSync(join(folder, 'told'), 'utf8').replaceAll('"history":null', '"history":"0"')}`,
    );
    runAgent(server.url, folder, phoneWith([onPhone(1), onPhone(2), onPhone(3)]));
    expect(await untilCount(other, 4)).toHaveLength(4);
  });

  test('that breaks off keeps what came before, and says so', async () => {
    const folder = temporaryFolder();
    const { agent } = runAgent(server.url, folder, simulated(folder));
    const web = await browserOf(server.url, agent);
    const whole = backup(sms({ body: 'one' }), sms({ body: 'two' }), sms({ body: 'three' }));
    const counts = await importBackup(file(whole.slice(0, whole.indexOf('three'))), await agent.present(), () => undefined); // prettier-ignore
    expect(counts).toMatchObject({ read: 2, added: 2, problem: expect.stringContaining('ends in the middle') });
    expect(toSentences(counts)).toEqual([counts.problem, '2 read: 2 new, 0 already there, 0 left out.']);
    expect(await untilCount(web, 2)).toHaveLength(2);
  });

  test('of a file that is far bigger than the memory it may use', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'big.xml');
    const count = 60_000;
    const picture = 'QUJD'.repeat(20_000);
    await pipeline(
      Readable.from(
        (function* () {
          yield `<?xml version='1.0' ?>\n<smses count="${count}">\n`;
          for (let n = 0; n < count; n++) yield sms({ date: DATE + n * 60_000, body: `Text number ${n} &#55357;&#56832;`, address: `+1202555${String(n % 200).padStart(4, '0')}` }); // prettier-ignore
          for (let n = 0; n < 1_000; n++) yield mms({ date: DATE + n }, [{ ct: 'image/jpeg', data: picture }, { ct: 'text/plain', text: `Picture ${n}` }]); // prettier-ignore
          yield '</smses>';
        })(),
      ),
      createWriteStream(path),
    );
    const child = runTypeScript('test/support/phone-import-process.ts', {
      env: {
        ...process.env,
        FOLDER: join(folder, 'state'),
        BACKUP: path,
        NODE_OPTIONS: '--max-old-space-size=64 --expose-gc',
      },
    });
    later(() => child.end('SIGKILL'));
    expect(await child.exited).toBe(0);
    const { told: sent, counts, bytes, held } = JSON.parse(child.output()) as { told: number; counts: unknown; bytes: number; held: number }; // prettier-ignore
    expect(sent).toBe(count + 1_000);
    expect(counts).toMatchObject({ read: count + 1_000, added: count + 1_000, files: 1_000 });
    expect(bytes).toBeGreaterThan(90e6);
    // The heap has its bound from the flag; this is about what lies beside it.
    expect(held).toBeLessThan(60e6);
  });
});

/** Pictures as they come in MMS: the second one takes several chunks. */
const PICTURES = [randomBytes(3_000), randomBytes(150_000)] as const;
const withPictures = () =>
  backup(
    mms({}, [words('Both'), part('image/jpeg', PICTURES[0], { name: 'one.jpg' }), part('image/png', PICTURES[1])]),
    mms({ date: DATE + 1_000, msg_box: 2 }, [part('video/mp4', PICTURES[0], { cl: 'film.mp4' })]),
    sms({ date: DATE + 2_000 }),
  );

/** A phone without texts, a browser, and the ids of what was uploaded since. */
async function ends(at: TestServer = server) {
  const all = async () => (await query(at.env.databaseUrl, 'SELECT id FROM uploads ORDER BY id')).map(({ id }) => id as string); // prettier-ignore
  const before = await all();
  const uploads = async () => (await all()).filter((id) => !before.includes(id));
  const folder = temporaryFolder();
  const { agent, stop } = runAgent(at.url, folder, simulated(folder));
  return { folder, agent, stop, web: await browserOf(at.url, agent), uploads };
}

async function contents(web: WebClient, files: FileReference[] = []): Promise<Buffer[]> {
  const by = await web.files();
  return Promise.all(files.map(async (file) => Buffer.from(await (await by.blob(file)).arrayBuffer())));
}

describe('the files of MMS', () => {
  test('come with their texts, encrypted, and once: also when the backup is imported again', async () => {
    const { agent, web, uploads } = await ends();
    const path = file(withPictures());
    const counts = await importBackup(path, await agent.present(), () => undefined);
    expect(counts).toMatchObject({ read: 3, added: 3, known: 0, files: 3, without: { 'too-large': 0, damaged: 0 } });
    expect(toSentences(counts)).toEqual(['3 read: 3 new, 0 already there, 0 left out.', 'Pictures and other files that came with them: 3.']); // prettier-ignore
    const [both, film, plain] = await untilCount(web, 3);
    expect(both).toMatchObject({ text: 'Both', files: [{ name: 'one.jpg', type: 'image/jpeg', size: 3_000 }, { name: 'image.png', type: 'image/png', size: 150_000 }] }); // prettier-ignore
    expect(film).toMatchObject({ text: '', type: 'sent', files: [{ name: 'film.mp4', type: 'video/mp4' }] });
    expect(plain).not.toHaveProperty('files');
    expect(await contents(web, both!.files)).toEqual(PICTURES);
    expect(await contents(web, film!.files)).toEqual([PICTURES[0]]);
    const { dataDir } = server.env;
    for (const id of await uploads()) expect(readFileSync(join(dataDir, 'files', id.slice(0, 2), id)).includes(PICTURES[0].subarray(0, 16))).toBe(false); // prettier-ignore

    const there = await uploads();
    expect(there).toHaveLength(3);
    expect(await importBackup(path, await agent.present(), () => undefined)).toMatchObject({ added: 0, known: 3, files: 0 }); // prettier-ignore
    expect(await uploads()).toEqual(there);
  });

  test.each(['an upload has begun', 'an upload is whole', 'before the texts', 'after the texts'])(
    'are there once when the import is killed as %s, and done again',
    async (point) => {
      const { folder, stop, web, uploads } = await ends();
      await stop();
      const path = file(withPictures());
      const env = { ...process.env, FOLDER: folder, BACKUP: path, SERVER: server.url, DIE: point };
      const child = runTypeScript('test/support/phone-import-killed-process.ts', { env });
      later(() => child.end('SIGKILL'));
      expect(await child.exited).toBe('SIGKILL');
      const left = await uploads();
      expect(left).toHaveLength(point.startsWith('an upload') ? 1 : 3);

      const { agent } = runAgent(server.url, folder, simulated(folder));
      expect(await importBackup(path, await agent.present(), () => undefined)).toMatchObject({ added: 3, files: 3 });
      const texts = await untilCount(web, 3);
      expect(texts).toHaveLength(3);
      expect(
        await contents(
          web,
          texts.flatMap(({ files = [] }) => files),
        ),
      ).toEqual([...PICTURES, PICTURES[0]]);
      const there = await uploads();
      expect(there).toHaveLength(3);
      expect(there).toEqual(expect.arrayContaining(left));
    },
    60_000,
  );

  test('whose texts never come are taken off the server by the next import, but not those whose texts may have', async () => {
    for (const [point, stay] of [
      ['an upload is whole', 0],
      ['after the texts', 3],
    ] as const) {
      const { folder, stop, uploads } = await ends();
      await stop();
      const env = { ...process.env, FOLDER: folder, BACKUP: file(withPictures()), SERVER: server.url, DIE: point };
      const child = runTypeScript('test/support/phone-import-killed-process.ts', { env });
      later(() => child.end('SIGKILL'));
      await child.exited;
      const { agent } = runAgent(server.url, folder, simulated(folder));
      await importBackup(file(backup(sms())), await agent.present(), () => undefined);
      expect(await uploads()).toHaveLength(stay);
    }
  }, 60_000);

  test('that the server does not take are left out and said; where there is no room, their texts come another time', async () => {
    const small = await TestServer.start({ limits: { fileBytes: 100_000, filesBytes: 10_000 }, dataDir: temporaryFolder() }); // prettier-ignore
    later(() => small.stop());
    const { agent, web, uploads } = await ends(small);
    const xml = backup(
      mms({}, [words('Too large'), part('image/png', PICTURES[1]), { ...part('image/png', PICTURES[0]), data: 'A*' }]),
      mms({ date: DATE + 1_000 }, [part('image/png', PICTURES[1])]),
      mms({ date: DATE + 2_000 }, [words('No room'), part('image/png', PICTURES[0]), part('image/png', randomBytes(9_000))]),
      mms({ date: DATE + 3_000 }, [words('Fits'), part('image/png', PICTURES[0])]),
    ); // prettier-ignore
    const counts = await importBackup(file(xml), await agent.present(), () => undefined);
    expect(counts).toMatchObject({ read: 4, added: 2, files: 1, without: { 'too-large': 2, damaged: 1 } });
    expect(toSentences(counts)).toEqual([
      '4 read: 2 new, 0 already there, 2 left out.',
      '  1 without a text or a file',
      '  1 with files that the server has no room for: make some, and import again',
      'Pictures and other files that came with them: 1.',
      'Files larger than the server takes (0.1 MB): 2, left out; the rest of their MMS was taken.',
      'Files that are empty or damaged in the backup: 1, left out; the rest of their MMS was taken.',
    ]);
    const texts = await untilCount(web, 2);
    expect(texts.map(({ text, files }) => [text, files?.length])).toEqual([['Too large', undefined], ['Fits', 1]]); // prettier-ignore

    // Deleting makes room.
    await web.deleteMessage(texts[1]!.id);
    for (const end = Date.now() + 15_000; (await uploads()).length > 0 && Date.now() < end;);
    expect(await uploads()).toEqual([]);
    const roomy = backup(mms({ date: DATE + 2_000 }, [words('No room'), part('image/png', PICTURES[0])]));
    expect(await importBackup(file(roomy), await agent.present(), () => undefined)).toMatchObject({ added: 1, files: 1 }); // prettier-ignore
  });
});
