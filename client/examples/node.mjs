// A client in the terminal: shows a link to give the phone, then prints what comes in and sends what is typed.
//   node client/examples/node.mjs http://localhost:3000 "+1 202 555 0101"
import { createInterface } from 'node:readline';
import { ClientError, openWebClient } from '@pairline/client';
import { fileStore } from '@pairline/client/node';

const [url = 'http://localhost:3000', number] = process.argv.slice(2);
const client = await openWebClient({ url, store: fileStore(process.env.PAIRLINE_FILE ?? 'pairline.journal') });

client.on('state', ({ phase, phone }) => console.log(`${phase}, phone ${phone.here ? 'here' : 'away'}`));
client.on('incoming', (message, { name, number }) => console.log(`${name ?? number}: ${message.text}`));

if (client.state.phase === 'signed-out') {
  const pairing = client.pair({ deviceName: 'Example in the terminal', remember: true });
  pairing.on('state', ({ step, link }) => console.log(step === 'waiting' ? `Give this to the phone: ${link}` : step));
}

for await (const text of createInterface({ input: process.stdin })) {
  try {
    // Kept on disk before it resolves; it goes out when the server, and then the phone, can be reached.
    const { id } = await client.send({ number }, text);
    console.log(`kept as ${id}`);
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    console.log(`not sent: ${error.message}`);
  }
}
await client.close();
