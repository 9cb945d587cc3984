import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { browser, pair, phone, type PhoneClient } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { TestServer } from './support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ limits: { sendsPerMinute: 0 } });
});
afterEach(cleanUp);
afterAll(() => server.stop());

test('what a browser writes while the phone comes back reaches the phone after what waited for it', async () => {
  const handset = await phone(server.url);
  const token = await pair(server.url, handset);
  const web = await browser(server.url, token);
  later(() => web.close());
  handset.close();
  await web.next('mobile:disconnected');
  let written = 0;
  const write = (count: number) =>
    Promise.all(
      Array.from({ length: count }, () => {
        const number = written++;
        return web.send('web:send-message', { phoneNumber: '+15550100', message: `${number}`, tempId: `t-${number}` });
      }),
    );
  await write(1200);
  // One at a time and without a pause, all the while the phone is coming back.
  let back: PhoneClient | undefined = undefined;
  const writing = (async () => {
    while (((back as PhoneClient | undefined)?.all('send:message').length ?? 0) < 1200) await write(1);
  })();
  back = await phone(server.url, handset);
  const arrived = back;
  later(() => arrived.close());
  await writing;
  await arrived.next('send:message', undefined, written);
  expect(arrived.all('send:message').map(({ message }) => Number(message))).toEqual(Array.from({ length: written }, (_, i) => i)); // prettier-ignore
});
