// node websocket.mjs http://localhost:3000 ann@example.org 'a long password'
// Run it twice: what you type in one (`key value`) is in the other. Nothing but the WebSocket that browsers, and Node from 22
// on, have; docs/websocket.md tells the whole protocol.
import { createInterface } from 'node:readline';

const WebSocket = globalThis.WebSocket ?? (await import('ws')).WebSocket;
/** Close codes after which coming back the same way leads nowhere. */
const FINAL = [1002, 1007, 1008, 4001, 4002, 4003];

const [url, email, password] = process.argv.slice(2);
const { token } = await signIn();

const values = new Map();
/** What is not acknowledged yet, by its id. */
const unsent = new Map();
let cursor = 0; // a real client keeps it together with its values
let lastId = 0;
let socket;
let isReady = false;
let isOver = false;
connect();

for await (const line of createInterface({ input: process.stdin })) {
  const [key, ...words] = line.split(' ');
  const message = { type: 'state:put', data: { key, value: words.join(' ') }, id: ++lastId };
  unsent.set(message.id, message);
  if (isReady) say(message);
}
isOver = true;
if (unsent.size === 0) socket.close();

function connect() {
  socket = new WebSocket(`${url.replace('http', 'ws')}/ws`);
  socket.onopen = () => say({ type: 'authenticate', data: { token, after: cursor } });
  socket.onmessage = ({ data }) => hear(JSON.parse(data));
  socket.onerror = () => undefined; // the close that follows says more
  socket.onclose = ({ code, reason }) => {
    isReady = false;
    if (isOver && unsent.size === 0) return;
    console.error(`${code} ${reason}`);
    if (code === 4005) {
      cursor = 0;
      values.clear();
    }
    if (FINAL.includes(code)) process.exit(1);
    setTimeout(connect, 1000 + Math.random() * 2000);
  };
}

function hear({ type, data, id }) {
  if (type === 'authenticated') {
    isReady = true;
    // Saying it again does no harm.
    for (const message of unsent.values()) say(message);
  } else if (type === 'changes') {
    for (const { kind, id: key, op, row } of data.changes) {
      if (kind !== 'state') continue;
      if (op === 'put') values.set(key, row.value);
      else values.delete(key);
      console.log(`${key} = ${JSON.stringify(values.get(key))}`);
    }
    cursor = data.cursor;
  } else if (type === 'ack') {
    if (!data.ok) console.error(data.message);
    if (data.ok || data.retryAfter === undefined) unsent.delete(id);
    else setTimeout(() => isReady && say(unsent.get(id)), data.retryAfter * 1000);
    if (isOver && unsent.size === 0) socket.close();
  } else if (type === 'error') console.error(data.message);
}

function say(message) {
  socket.send(JSON.stringify(message));
}

async function signIn() {
  const headers = { 'Content-Type': 'application/json' };
  for (const route of ['login', 'register']) {
    const body = JSON.stringify({ email, password, deviceInfo: { name: 'Example', type: 'terminal' } });
    const response = await fetch(`${url}/api/auth/${route}`, { method: 'POST', headers, body });
    const reply = await response.json();
    if (response.ok) return reply;
    if (reply.code !== 'wrong_credentials') throw new Error(reply.message);
  }
}
