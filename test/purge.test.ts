import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Purge } from '../src/changes/purge.js';
import { call, message, phone, type Client } from './support/clients.js';
import { TestServer } from './support/server.js';

let server: TestServer;
const clients: Client[] = [];

beforeAll(async () => {
  server = await TestServer.start({ tombstoneTtlMs: 1000 });
});
afterAll(async () => {
  for (const client of clients) client.close();
  await server.stop();
});

interface Changes {
  changes: { id: string; op: string; seq: number }[];
  cursor: number;
}

test('old tombstones go, what is left stays, and a cursor from before them has to start over', async () => {
  const handset = await phone(server.url);
  clients.push(handset);
  const [kept, gone] = [message(), message()];
  await handset.send('mobile:messages', { messages: [kept, gone] });
  const read = (after: number) =>
    call<Changes>(server.url, `/api/changes?after=${after}`, { token: handset.deviceToken });
  const before = (await read(0)).body;
  await handset.send('message:deleted', { messageId: gone.id });
  expect((await read(before.cursor)).body.changes).toMatchObject([{ id: gone.id, op: 'delete' }]);

  const purge = server.app.get(Purge);
  expect(await purge.run(Date.now() - 60_000)).toBe(0);
  expect(await purge.run(Date.now() + 60_000)).toBe(1);

  const old = await read(before.cursor);
  expect([old.status, (old.body as unknown as { code: string }).code]).toEqual([410, 'cursor_expired']);
  const fresh = (await read(0)).body;
  expect(fresh.changes.map(({ id }) => id)).toContain(kept.id);
  expect(fresh.changes.map(({ id }) => id)).not.toContain(gone.id);
  expect((await read(fresh.cursor)).status).toBe(200);
});
