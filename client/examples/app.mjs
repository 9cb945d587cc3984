// Notes in the terminal, the same on every device that runs this: prints them all when they change, adds what is typed.
//   node client/examples/app.mjs http://localhost:3000 ann@example.org 'a long password'
import { createInterface } from 'node:readline';
import { ClientError, openWebClient } from '@pairline/client';
import { fileStore } from '@pairline/client/node';

const [url = 'http://localhost:3000', email, password] = process.argv.slice(2);
const client = await openWebClient({ url, store: fileStore(process.env.PAIRLINE_FILE ?? 'notes.journal') });

client.on('state', ({ phase }) => console.log(phase));
client.on('records', print);
client.on('values', print);

if (client.state.phase === 'signed-out') {
  const person = { email, password, deviceName: 'Notes in the terminal', remember: true };
  try {
    await client.register(person);
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== 'email_taken') throw error;
    await client.signIn(person);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [, command, rest] = /^(title|done)? ?(.*)$/.exec(line);
  // Kept on disk before it resolves; it goes out when the server can be reached.
  if (command === 'title') await client.setValue('title', rest);
  else if (command === 'done') await client.deleteRecord((await client.records('notes'))[rest - 1]?.id);
  else await client.putRecord('notes', { text: line });
}
await client.close();

async function print() {
  const notes = await client.records('notes');
  const title = (await client.value('title')) ?? 'Notes';
  console.log(`${title}: ${notes.map(({ data }, i) => `${i + 1} ${data.text}`).join(', ')}`);
}
