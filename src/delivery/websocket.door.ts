import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { Socket as TcpSocket } from 'node:net';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Static } from '@sinclair/typebox';
import { WebSocketServer, type WebSocket } from 'ws';
import { AddressOf } from '../address.js';
import { MAX_DEPTH } from '../depth.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError, type ErrorCode } from '../errors.js';
import { readBearer } from '../sessions/authorization.js';
import { compileCheck } from './check.js';
import { Doorman } from './doorman.js';
import { EventDesk, type Ack, type Order } from './event-desk.js';
import type { Reply } from './events.js';
import { Handshakes, type Handshake } from './handshakes.js';
import { keepAlive } from './heartbeat.js';
import { Origins } from './origins.js';
import { Peer } from './peer.js';
import { Reception } from './reception.js';
import { Refusals } from './refusals.js';
import { Introduction, readMessage } from './websocket.message.js';
import { WebSocketTransport } from './websocket.transport.js';

const PATH = '/ws';
const SOCKET_IO = '/socket.io/';
/** How long a connection has to show its token (wire.md, section E). */
const AUTHENTICATE_MS = 10_000;

/**
 * Plain WebSockets on `/ws`: the same events as over Socket.IO, each a message `{type,data,id?}` (wire.md, section E). The token
 * comes in the address, in the header `Authorization`, or in a first message.
 */
@Injectable()
export class WebSocketDoor implements OnModuleInit {
  private readonly server: WebSocketServer;
  private readonly authenticating: Order = {
    from: 'anyone',
    check: compileCheck(Introduction, MAX_DEPTH + 1),
    fill: (peer, who: Static<typeof Introduction>) => this.signIn(peer, who),
  };

  constructor(
    private readonly http: HttpAdapterHost,
    private readonly desk: EventDesk,
    private readonly reception: Reception,
    private readonly doorman: Doorman,
    private readonly handshakes: Handshakes,
    private readonly refusals: Refusals,
    private readonly addressOf: AddressOf,
    private readonly origins: Origins,
    @Inject(ENV) private readonly env: BootEnv,
  ) {
    this.server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      // Twice the bound that is told as an error: what is larger still ends the connection (1009) while it is being read.
      maxPayload: env.limits.maxFrameBytes * 2,
    });
  }

  onModuleInit(): void {
    const server = this.http.httpAdapter.getHttpServer() as Server;
    server.on('upgrade', (request, socket, head) => {
      // From here on Node leaves a connection to whoever takes it: one that breaks before that would end the process.
      socket.on('error', () => socket.destroy());
      if (pathOf(request) === PATH) this.upgrade(request, socket as TcpSocket, head);
      else if (!request.url!.startsWith(SOCKET_IO)) refuse(socket as TcpSocket, 'route_not_found');
    });
  }

  private upgrade(request: IncomingMessage, socket: TcpSocket, head: Buffer): void {
    if (!this.origins.mayConnect(request)) refuse(socket, 'origin_refused');
    else this.server.handleUpgrade(request, socket, head, (opened) => this.welcome(opened, request));
  }

  private welcome(socket: WebSocket, request: IncomingMessage): void {
    const address = this.addressOf.request(request);
    const said = saidIn(request);
    const transport = new WebSocketTransport(socket, request.socket, said);
    const peer = new Peer(transport, address, this.env.limits.maxBufferedBytes);
    this.reception.arrived(peer);
    transport.onEnding = () => this.reception.left(peer);
    socket.once('close', () => this.reception.gone(peer));
    // What breaks the protocol is answered by ws itself, with the close code of what was broken.
    socket.on('error', () => undefined);
    socket.on('pong', () => this.reception.heard(peer));
    // ws answers by itself: who asks without reading the answers is slow too.
    socket.on('ping', () => peer.keepBounded());
    socket.on('message', (data: Buffer, isBinary) => this.hear(peer, transport, said, data, isBinary));
    keepAlive(socket, request.socket);
    this.doorman.meet(transport, address, AUTHENTICATE_MS);
    if (transport.isOpen && said.token !== undefined) void this.authenticate(peer, said);
  }

  private hear(peer: Peer, transport: WebSocketTransport, said: Handshake, data: Buffer, isBinary: boolean): void {
    if (!transport.isOpen) return;
    peer.frameBytes = data.length;
    this.reception.heard(peer);
    const message = readMessage(data, isBinary);
    if (message === undefined) return peer.emit('error', this.refusals.of(relayError('invalid_frame')).toBody());
    const { type, data: payload, id } = message;
    const ack: Ack | undefined = id === undefined ? undefined : (reply) => transport.answer(id, reply);
    if (type === 'ack') return transport.acknowledged(id, payload);
    if (type === 'ping') {
      transport.send('{"type":"pong"}');
      return peer.keepBounded();
    }
    if (type === 'authenticate') void this.authenticate(peer, introduced(said, payload), ack);
    else void this.desk.receive(peer, type, payload, ack);
  }

  /** Who shows a token that is not good is told so, and has to connect anew. */
  private async authenticate(peer: Peer, said: Handshake, ack?: Ack): Promise<void> {
    const refused = await this.desk.take(peer, this.authenticating, said, ack);
    if (refused !== undefined && peer.session === undefined) peer.transport.end(refused.code);
  }

  private async signIn(peer: Peer, { token, after, deviceInfo }: Static<typeof Introduction>): Promise<Reply> {
    if (peer.session !== undefined) throw relayError('already_authenticated');
    const since = performance.now();
    const signedIn = await this.handshakes.signIn({ token, after, deviceInfo }, peer.address);
    const { account, deviceId, phoneId } = signedIn!.session;
    const reply = { deviceId: phoneId || deviceId, sessionId: deviceId, accountId: account.id };
    peer.emit('authenticated', { success: true, ...reply });
    this.reception.letIn(peer, signedIn!, since, after);
    return reply;
  }
}

/** What a first message leaves out, the address may have said. */
function introduced(said: Handshake, payload: unknown): Handshake {
  const { token, after, deviceInfo } = (payload ?? {}) as Handshake;
  return { token: token ?? said.token, after: after ?? said.after, deviceInfo: deviceInfo ?? said.deviceInfo };
}

/** Answers an upgrade that is not to be. */
function refuse(socket: TcpSocket, code: ErrorCode): void {
  const error = relayError(code);
  const body = error.toBody();
  const text = JSON.stringify(body);
  const headers = {
    Connection: 'close',
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    'X-Request-Id': body.requestId,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\n${lines.join('')}\r\n${text}`);
  // Only ended, it would stay open for as long as the other side liked.
  socket.destroySoon();
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0]!;
}

/** What the address and the headers say. */
function saidIn({ url = '', headers }: IncomingMessage): Handshake & { inviteToken?: string } {
  const query = new URLSearchParams(url.slice(PATH.length));
  const said = (name: string) => query.get(name) || undefined;
  const after = said('after');
  return {
    token: said('token') ?? readBearer(headers.authorization),
    after: after === undefined ? undefined : Number(after),
    deviceInfo: said('deviceInfo'),
    inviteToken: said('inviteToken'),
  };
}
