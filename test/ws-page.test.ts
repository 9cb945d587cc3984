import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { pair, phone } from './support/clients.js';
import { later } from './support/database.js';
import { inChromium } from './support/page.js';
import { TestServer } from './support/server.js';

/** A web server that has nothing to do with ours. */
async function anotherOrigin(): Promise<{ url: string }> {
  const http = createServer((_request, response) => response.setHeader('Content-Type', 'text/html').end('<p>Hello'));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  later(() => new Promise((resolve) => (http.closeAllConnections(), http.close(resolve))));
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` };
}

async function aServer(corsOrigin: string[] | boolean): Promise<TestServer> {
  const server = await TestServer.start({ corsOrigin });
  later(() => server.stop());
  return server;
}

/** What a page hears that shows a token and puts a value: the types of the messages, or the close code. */
function talk(page: Page, url: string, token: string): Promise<(string | number)[]> {
  return page.evaluate(
    ([address, shown]) =>
      new Promise((resolve) => {
        const heard: (string | number)[] = [];
        const socket = new WebSocket(address!);
        socket.onopen = () => {
          socket.send(JSON.stringify({ type: 'authenticate', data: { token: shown, after: 0 }, id: 1 }));
          socket.send(JSON.stringify({ type: 'state:put', data: { key: 'k', value: 'from a page' }, id: 2 }));
        };
        socket.onmessage = ({ data }) => {
          const { type, id } = JSON.parse(data as string) as { type: string; id?: number };
          heard.push(id === undefined ? type : `${type} ${id}`);
          // The first page of changes may come before or after what is answered.
          if (heard.includes('ack 2') && heard.includes('changes')) resolve(heard);
        };
        socket.onclose = ({ code }) => resolve([...heard, code]);
      }),
    [`${url.replace('http', 'ws')}/ws`, token],
  );
}

inChromium('a page of another origin, with nothing but the WebSocket of the browser', (chromium) => {
  const expected = [/^A connection to/, /403/];

  test('is served when CORS_ORIGIN names its origin', async () => {
    const other = await anotherOrigin();
    const server = await aServer([other.url]);
    const handset = await phone(server.url);
    later(() => handset.close());
    const page = await chromium.open(other, { expected });
    const heard = await talk(page, server.url, await pair(server.url, handset));
    expect(heard).toEqual(expect.arrayContaining(['authenticated', 'ack 1', 'changes', 'ack 2']));
  });

  test('is refused when it does not', async () => {
    const [other, server] = [await anotherOrigin(), await aServer(false)];
    const page = await chromium.open(other, { expected });
    expect(await talk(page, server.url, 'any')).toEqual([1006]);
  });
});
