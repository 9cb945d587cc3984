// The reference of `/ws`: the same fan-out with nothing but `ws`. No database, nothing sealed, nothing checked, and what it
// holds is lost when it stops. Runs in a process of its own; prints its port.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const http = createServer((_request, response) => response.end('ok'));
const server = new WebSocketServer({ server: http, path: '/ws', maxPayload: 4_194_304 });
/** @type {Map<string | null, Set<import('ws').WebSocket>>} */
const accounts = new Map();

server.on('connection', (socket, request) => {
  const token = new URL(request.url ?? '', 'http://localhost').searchParams.get('token');
  const account = accounts.get(token) ?? new Set();
  accounts.set(token, account.add(socket));
  const deviceId = String(account.size);
  socket.send(JSON.stringify({ type: 'authenticated', data: { success: true } }));
  socket.on('close', () => account.delete(socket));
  socket.on('message', (message) => {
    const { type, data, id } = JSON.parse(message.toString());
    if (type !== 'session-update') return;
    const told = { ...data, deviceId, timestamp: Date.now() };
    const frame = JSON.stringify({ type: 'session-updated', data: told });
    for (const one of account) one.send(frame);
    socket.send(JSON.stringify({ type: 'ack', id, data: { ok: true } }));
  });
});

http.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (http.address());
  console.log(`Bare ws is ready: http://localhost:${port}`);
});
