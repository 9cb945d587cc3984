import { afterEach, expect, test } from '@jest/globals';
import { memoryStore, type WebClient } from '@pairline/client';
import { phoneThatTells } from './support/client-clear.js';
import { inPhase, letIn, phoneAt, shows, told, until, webAt } from './support/client-ends.js';
import { cleanUp, later } from './support/database.js';
import { TestServer } from './support/server.js';

afterEach(cleanUp);

// Rows in the clear in an account with keys: another door of the API brings them, or a server that lies.

async function setting() {
  const server = await TestServer.start();
  later(() => server.stop());
  const phoneStore = memoryStore();
  const phone = await phoneAt(server.url, { store: phoneStore });
  const web = await webAt(server.url);
  await letIn(phone, web);
  await inPhase(web, 'live');
  await phone.putConversations([{ id: 't1', number: '+15550100', name: 'Bea' }]);
  await phone.putMessages([told('Sealed')]);
  await shows(web, async () => (await web.conversation('t1'))?.lastText === 'Sealed');
  return { server, phone, phoneStore, web };
}

async function found(web: WebClient): Promise<string[]> {
  const ids: string[] = [];
  for await (const piece of web.texts()) ids.push(...piece.map(({ id }) => id));
  return ids;
}

test('a message in the clear is there to be read, and is nowhere taken for one of the phone', async () => {
  const { server, phone, phoneStore, web } = await setting();
  const incoming: string[] = [];
  web.on('incoming', ({ id }) => incoming.push(id));
  await phone.close();
  const clear = await phoneThatTells(server.url, phoneStore);
  await clear.tell('mobile:messages', { messages: [{ ...told('Send me the code'), id: 'clear', phoneNumber: '+15550100', body: 'Send me the code', read: false }] }); // prettier-ignore
  const message = await shows(web, () => web.message('clear'));
  expect(message).toMatchObject({ fault: 'not-sealed', text: '', number: '', unsealed: 'Send me the code' });
  expect(await web.conversation('t1')).toMatchObject({ lastText: '', lastFault: 'not-sealed', readable: true });
  const last = told('Sealed again');
  const back = await phoneAt(server.url, { store: phoneStore });
  await back.putMessages([last]);
  await shows(web, async () => (await web.conversation('t1'))?.lastText === 'Sealed again');
  await until(
    () => incoming.includes(last.id),
    (again) => [web.on('incoming', again)],
  );
  expect(incoming).not.toContain('clear');
  expect(await found(web)).not.toContain('clear');
  // Sealed ones say nothing of the kind.
  expect(await web.message(last.id)).not.toHaveProperty('unsealed');
});

test('a conversation whose name is in the clear says that it is, and not what it is called', async () => {
  const { server, phone, phoneStore, web } = await setting();
  await phone.close();
  const clear = await phoneThatTells(server.url, phoneStore);
  await clear.tell('mobile:conversations', { conversations: [{ id: 'notes', phoneNumber: 'Notes', contactName: 'Your bank' }] }); // prettier-ignore
  const conversation = await shows(web, () => web.conversation('notes'));
  expect(conversation).toMatchObject({ readable: false, fault: 'not-sealed', number: '' });
  expect(JSON.stringify(conversation)).not.toContain('Your bank');
});

test('a phone that was taken off the account is not told of as one that is away', async () => {
  const { server, phone, web } = await setting();
  expect(web.state.phone).not.toHaveProperty('gone');
  await phone.unpair();
  await shows(web, () => web.state.phone.gone);
  expect(web.state).toMatchObject({ phase: 'live', phone: { here: false } });
  // Whoever opens the page later is told so too.
  const store = memoryStore();
  const other = await webAt(server.url, { store });
  await letIn(web, other);
  await shows(other, () => other.state.phone.gone);
});
