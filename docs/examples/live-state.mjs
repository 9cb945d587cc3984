// node live-state.mjs http://localhost:3000 ann@example.org 'a long password'
// Run it twice, registered: what you type in one (`key value`) is in the other. docs/live-state.md tells the protocol.
import { createInterface } from 'node:readline';
import { io } from 'socket.io-client';

const [url, email, password] = process.argv.slice(2);
const deviceInfo = { name: 'Example', type: 'terminal' }; // a real client adds the `deviceId` that it got last time
const headers = { 'Content-Type': 'application/json' };
const body = JSON.stringify({ email, password, deviceInfo });
const response = await fetch(`${url}/api/auth/login`, { method: 'POST', headers, body });
const { token, deviceId, message } = await response.json();
if (!response.ok) throw new Error(message);

const query = { deviceInfo: JSON.stringify({ ...deviceInfo, deviceId }) };
const socket = io(url, { transports: ['websocket'], auth: { token }, query });
let ready = false;
// Comes after every connect, also when nothing is stored: only now may a client send what it has kept.
socket.on('session-restored', ({ sessionData }) => {
  console.log(`${deviceId} has ${JSON.stringify(sessionData)}`);
  ready = true;
});
socket.on('session-updated', ({ sessionKey, state, deviceId: by }) => {
  console.log(`${sessionKey} = ${JSON.stringify(state)}, by ${by === deviceId ? 'me' : by}`);
});
socket.on('disconnect', () => (ready = false)); // socket.io-client comes back by itself
socket.on('connect_error', ({ message }) => console.error(message));
socket.on('error', ({ message }) => console.error(message));

for await (const line of createInterface({ input: process.stdin })) {
  const [sessionKey, ...words] = line.split(' ');
  let reply;
  // Until it is acknowledged it may be lost, and saying it again does no harm.
  while (reply === undefined) {
    if (!ready) await new Promise((resolve) => socket.once('session-restored', resolve));
    const saying = socket.timeout(10_000).emitWithAck('session-update', { sessionKey, state: words.join(' ') });
    reply = await saying.catch(() => undefined);
  }
  if (!reply.ok) console.error(reply.message);
}
socket.close();
