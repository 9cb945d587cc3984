import { Inject } from '@nestjs/common';
import {
  WebSocketGateway,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  type OnGatewayInit,
} from '@nestjs/websockets';
import type { Server, Socket } from 'socket.io';
import { AddressOf } from '../address.js';
import { ENV, type BootEnv } from '../env.js';
import type { RelayError } from '../errors.js';
import { Doorman, type Guest } from './doorman.js';
import { EventDesk, type Ack } from './event-desk.js';
import { Handshakes, type SignedIn } from './handshakes.js';
import { Peer } from './peer.js';
import { Reception } from './reception.js';
import { Refusals } from './refusals.js';
import { EngineGuest } from './socketio.guest.js';
import { SocketIoTransport } from './socketio.transport.js';

/**
 * Socket.IO: the events of wire.md, sections A and B, and, for a handshake with `{token, after}`, the changes of section F.
 * What is of an event, and not of Socket.IO, is the desk's; what is of a connection, the reception's.
 */
@WebSocketGateway()
export class RelayGateway implements OnGatewayInit<Server>, OnGatewayConnection<Socket>, OnGatewayDisconnect<Socket> {
  private readonly guests = new WeakMap<Socket['conn'], Guest>();

  constructor(
    private readonly desk: EventDesk,
    private readonly reception: Reception,
    private readonly doorman: Doorman,
    private readonly handshakes: Handshakes,
    private readonly refusals: Refusals,
    private readonly addressOf: AddressOf,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  afterInit(server: Server): void {
    server.engine.on('connection', (conn: Socket['conn']) => {
      const guest = new EngineGuest(conn);
      this.guests.set(conn, guest);
      this.doorman.meet(guest, this.addressOf.request(conn.request));
    });
    // A throw in handleConnection would leave the socket open: who presents a wrong token is refused here.
    server.use((socket, next) => {
      const since = performance.now();
      const { token, after } = socket.handshake.auth as { token?: unknown; after?: unknown };
      const { deviceInfo } = socket.handshake.query;
      this.handshakes.signIn({ token, after, deviceInfo }, this.addressOf.request(socket.request)).then(
        (signedIn) => {
          (socket.data as Kept).signedIn = signedIn && { ...signedIn, since };
          next();
        },
        (error: unknown) => next(connectError(this.refusals.of(error))),
      );
    });
  }

  handleConnection(socket: Socket): void {
    const kept = socket.data as Kept;
    const transport = new SocketIoTransport(socket, this.guests.get(socket.conn)!);
    const peer = new Peer(transport, this.addressOf.request(socket.request), this.env.limits.maxBufferedBytes);
    kept.peer = peer;
    this.reception.arrived(peer);
    socket.conn.on('packet', ({ data }: { data?: string }) => {
      peer.frameBytes = data?.length ?? 0;
      this.reception.heard(peer);
    });
    transport.whenPinged(() => peer.keepBounded());
    socket.onAny((event: string, ...args: unknown[]) => this.receive(peer, event, args));
    const { signedIn } = kept;
    if (signedIn !== undefined) this.reception.letIn(peer, signedIn, signedIn.since);
  }

  handleDisconnect(socket: Socket): void {
    const { peer } = socket.data as Partial<Kept>;
    if (peer !== undefined) this.reception.gone(peer);
  }

  private receive(peer: Peer, event: string, args: unknown[]): void {
    const last = args.at(-1);
    const ack = typeof last === 'function' ? (last as Ack) : undefined;
    const [payload] = ack === undefined ? args : args.slice(0, -1);
    void this.desk.receive(peer, event, payload, ack);
  }
}

/** What is kept with a socket; `since`: when its handshake began, of `performance.now()`. */
interface Kept {
  peer: Peer;
  signedIn?: SignedIn & { since: number };
}

/** What Socket.IO hands the client as `connect_error`: `message`, and the whole body as `data`. */
function connectError(error: RelayError): Error {
  return Object.assign(new Error(error.message), { data: error.toBody() });
}
