// node live-state.mjs http://localhost:3000 ann@example.org 'a long password'
// Run it twice: what you type in one (`key value`) is in the other. docs/live-state.md tells the whole protocol.
import { createInterface } from 'node:readline';
import { io } from 'socket.io-client';

const [url, email, password] = process.argv.slice(2);
const deviceInfo = { name: 'Example', type: 'terminal' }; // a real client adds the `deviceId` that it got last time
const { token, deviceId } = await signIn();

const states = new Map();
const unsent = [];
let ready = false;
const query = { deviceInfo: JSON.stringify({ ...deviceInfo, deviceId }) };
const socket = io(url, { transports: ['websocket'], auth: { token }, query });

// Comes after every connect, also when nothing is stored: only now may a client send what it has kept.
socket.on('session-restored', ({ sessionData, deviceId }) => {
  for (const [key, state] of Object.entries(sessionData)) states.set(key, state);
  console.log(`${deviceId} has ${JSON.stringify(Object.fromEntries(states))}`);
  ready = true;
  for (const update of unsent.splice(0)) send(update);
});
socket.on('session-updated', ({ sessionKey, state, deviceId: by }) => {
  states.set(sessionKey, state);
  console.log(`${sessionKey} = ${JSON.stringify(state)}, by ${by === deviceId ? 'me' : by}`);
});
socket.on('disconnect', () => (ready = false)); // socket.io-client comes back by itself
socket.on('connect_error', ({ message }) => console.error(message));
socket.on('error', ({ message }) => console.error(message));

for await (const line of createInterface({ input: process.stdin })) {
  const [sessionKey, ...words] = line.split(' ');
  const update = { sessionKey, state: words.join(' ') };
  if (ready) void send(update);
  else unsent.push(update);
}
socket.close();

/** Until it is acknowledged it may be lost, and saying it again does no harm. */
async function send(update) {
  const reply = await socket
    .timeout(10_000)
    .emitWithAck('session-update', update)
    .catch(() => undefined);
  if (reply?.ok) return;
  if (reply !== undefined) console.error(reply.message);
  else if (ready) await send(update);
  else unsent.push(update);
}

async function signIn() {
  const headers = { 'Content-Type': 'application/json' };
  for (const route of ['login', 'register']) {
    const body = JSON.stringify({ email, password, deviceInfo });
    const response = await fetch(`${url}/api/auth/${route}`, { method: 'POST', headers, body });
    const reply = await response.json();
    if (response.ok) return reply;
    if (reply.code !== 'wrong_credentials') throw new Error(reply.message);
  }
}
