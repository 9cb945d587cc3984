// The reference: the same relay with nothing but Socket.IO. No Nest, no database, nothing sealed, nothing checked, and what
// it holds is lost when it stops. Runs in a process of its own; prints its port.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

/** `BARE_MESSAGE_NEW=1` also sends the bare `message:new` of a received message, as wire.md (A) asks of a whole server. */
const messageNew = process.env.BARE_MESSAGE_NEW === '1';

const http = createServer((_request, response) => response.end('ok'));
const io = new Server(http, {
  transports: ['websocket'],
  serveClient: false,
  maxHttpBufferSize: 4_194_304,
});

io.on('connection', (socket) => {
  socket.on('mobile:register', ({ deviceId }) => {
    void socket.join(`phone:${deviceId}`);
    socket.on('mobile:messages', ({ messages }, ack) => {
      io.to(`web:${deviceId}`).emit('messages:sync', { messages });
      if (messageNew)
        for (const message of messages)
          if (message.type === 'received') io.to(`web:${deviceId}`).emit('message:new', message);
      ack?.({ ok: true });
    });
    socket.on('mobile:message-status', (body, ack) => {
      io.to(`web:${deviceId}`).emit('message:status', body);
      ack?.({ ok: true });
    });
    socket.emit('authenticated', { success: true, deviceId, deviceToken: deviceId });
  });
  // Wire.md, section B: what one device tells reaches all of its account.
  const { token, conversationId } = socket.handshake.auth;
  if (token !== undefined) void socket.join(`account:${token}`);
  // Section E: what one writes reaches all others.
  if (conversationId !== undefined) void socket.join(`conversation:${conversationId}`);
  socket.on('sendMessage', ({ messageContent }, ack) => {
    const sender = { user_id: socket.id, pseudo: token };
    const told = { conversationId, sender, messageContent, timestamp: Date.now() };
    socket.to(`conversation:${conversationId}`).emit('newMessage', told);
    ack?.({ ok: true });
  });
  socket.on('session-update', ({ sessionKey, state }, ack) => {
    const told = { sessionKey, state, deviceId: socket.id, timestamp: Date.now() };
    io.to(`account:${token}`).emit('session-updated', told);
    ack?.({ ok: true });
  });
  socket.on('web:authenticate', ({ sessionToken: deviceId }) => {
    void socket.join(`web:${deviceId}`);
    socket.on('web:send-message', (body, ack) => {
      io.to(`phone:${deviceId}`).emit('send:message', body);
      ack?.({ ok: true });
    });
    socket.emit('authenticated', { success: true, deviceId });
  });
});

http.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (http.address());
  console.log(`Bare relay is ready: http://localhost:${port}`);
});
