// node websocket.mjs http://localhost:3000 ann@example.org 'a long password' [key value]
// Prints what the devices of a registered person share and how it changes; puts a value under a key. Nothing but the
// WebSocket that browsers, and Node from 22 on, have; docs/websocket.md tells the whole protocol.
const WebSocket = globalThis.WebSocket ?? (await import('ws')).WebSocket;

const [url, email, password, key, value] = process.argv.slice(2);
const headers = { 'Content-Type': 'application/json' };
const body = JSON.stringify({ email, password });
const response = await fetch(`${url}/api/auth/login`, { method: 'POST', headers, body });
const { token, message } = await response.json();
if (!response.ok) throw new Error(message);

let unsent = key && { type: 'state:put', data: { key, value }, id: 1 };
let cursor = 0; // a real client keeps it together with the values
connect();

function connect() {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`);
  const say = (message) => socket.send(JSON.stringify(message));
  socket.onopen = () => {
    say({ type: 'authenticate', data: { token, after: cursor } });
    if (unsent) say(unsent); // until it is acknowledged it may be lost, and saying it again does no harm
  };
  socket.onmessage = (frame) => {
    const { type, data } = JSON.parse(frame.data);
    if (type === 'ack') unsent = undefined;
    if (data.success === false) console.error(data.message); // what was not acknowledged, or an `error`
    if (type !== 'changes') return;
    for (const { kind, id, row } of data.changes)
      if (kind === 'state') console.log(`${id} = ${JSON.stringify(row?.value)}`);
    cursor = data.cursor;
  };
  socket.onerror = () => undefined; // the close that follows says more
  socket.onclose = ({ code, reason }) => {
    console.error(`${code} ${reason}`);
    if ([1008, 4001, 4002].includes(code)) process.exit(1); // the token is good for nothing any more
    if (code === 4005) cursor = 0; // too old: everything comes again
    setTimeout(connect, 1000 + Math.random() * 2000);
  };
}
