import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { FileReference, FilesClient, Message, WebClient } from '@pairline/client';
import { household, phoneAt, shows, told } from './support/client-ends.js';
import { cleanUp } from './support/database.js';
import { TestServer } from './support/server.js';

// Pictures and other files that come with texts: from a phone, in browsers.

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());
afterEach(cleanUp);

const BEA = { id: 't1', number: '+15550100', name: 'Bea' };
const PICTURE = randomBytes(100_000);

function uploaded(files: FilesClient, name = 'cat.jpg', type = 'image/jpeg'): Promise<FileReference> {
  return files.upload(new File([PICTURE], name, { type }));
}

const thread = (web: WebClient, count: number): Promise<Message[]> =>
  shows(web, async () => {
    const messages = await web.messages('t1');
    return messages.length === count && messages;
  });

/** The error code with which a file cannot be had, if so. */
const problem = async (files: FilesClient, file: FileReference) => files.blob(file).then(() => undefined, (error: { code: string }) => error.code); // prettier-ignore

test('files that a phone uploads are with their text in every browser, and the list tells what came', async () => {
  const { phone, webs } = await household(server.url, 2);
  const files = await phone.files();
  const [cat, film] = [await uploaded(files), await uploaded(files, 'film.mp4', 'video/mp4')];
  await phone.putConversations([BEA]);
  await phone.putMessages([told('Look', { files: [cat, film] }), told('', { files: [film] }), told('Just words', { files: [] })]); // prettier-ignore
  for (const web of webs) {
    const messages = await thread(web, 3);
    expect(messages.map(({ text, files, fault }) => ({ text, files, fault }))).toEqual([
      { text: 'Look', files: [cat, film] },
      { text: '', files: [film] },
      { text: 'Just words' },
    ]);
    expect(messages[2]).not.toHaveProperty('files');
    const blob = await (await web.files()).blob(cat);
    expect(blob.type).toBe('image/jpeg');
    expect(Buffer.from(await blob.arrayBuffer()).equals(PICTURE)).toBe(true);
    expect((await web.conversations())[0]).not.toHaveProperty('lastFile');
  }
  await phone.putMessages([told('', { files: [cat] })]);
  const [web] = webs;
  await thread(web!, 4);
  expect(await web!.conversations()).toMatchObject([{ lastText: '', lastFile: 'image/jpeg', unread: 4 }]);
  const found: string[] = [];
  for await (const piece of web!.texts()) found.push(...piece.map(({ text }) => text));
  expect(found).toEqual(['Just words', 'Look']);
});

test('what is no file among them is left out, and the text is read all the same', async () => {
  const { phone, webs } = await household(server.url);
  const cat = await uploaded(await phone.files());
  await phone.putConversations([BEA]);
  const odd = [
    null,
    'cat',
    { ...cat, key: 'short' },
    { ...cat, id: '../cat' },
    { ...cat, name: '../../cat\u202e.jpg' },
  ];
  await phone.putMessages([told('Odd', { files: odd }), told('Odder', { files: 'cat' })]);
  const [first, second] = await thread(webs[0]!, 2);
  expect(first).toMatchObject({ text: 'Odd', files: [{ id: cat.id, name: '.._.._cat_.jpg' }] });
  expect(second).toMatchObject({ text: 'Odder' });
  expect(second).not.toHaveProperty('files');
});

test('a browser that deletes a text takes its files off the server, and no others', async () => {
  const { phone, webs } = await household(server.url, 2);
  const files = await phone.files();
  const [cat, dog, bird] = [await uploaded(files), await uploaded(files), await uploaded(files)];
  await phone.putConversations([BEA]);
  await phone.putMessages([told('Two', { files: [cat, dog] }), told('One', { files: [bird] })]);
  const [web, other] = webs as [WebClient, WebClient];
  const [two] = await thread(web, 2);
  await thread(other, 2);
  await web.deleteMessage(two!.id);
  await thread(other, 1);
  // The files go right after the text.
  for (const file of [cat, dog]) {
    const end = Date.now() + 15_000;
    while ((await problem(files, file)) === undefined && Date.now() < end);
    expect(await problem(await other.files(), file)).toBe('not_found');
  }
  expect(await problem(files, bird)).toBeUndefined();
});

test('a text that came with files is not sent again: its files would be missing', async () => {
  const { phone, webs } = await household(server.url);
  await phone.putConversations([BEA]);
  const cat = await uploaded(await phone.files());
  await phone.putMessages([told('Look', { type: 'sent', status: 'failed', files: [cat] })]);
  const [message] = await thread(webs[0]!, 1);
  await expect(webs[0]!.retry(message!.id)).rejects.toMatchObject({ code: 'bad_request' });
  expect(await webs[0]!.messages('t1')).toHaveLength(1);
});

test('files of a phone are the account’s own: another account finds nothing', async () => {
  const { phone } = await household(server.url, 0);
  const cat = await uploaded(await phone.files());
  const stranger = await (await phoneAt(server.url)).files();
  expect(await problem(stranger, cat)).toBe('not_found');
  await stranger.remove(cat.id);
  expect(await problem(await phone.files(), cat)).toBeUndefined();
});
