import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Server as TcpServer, type Socket as TcpSocket } from 'node:net'; // prettier-ignore
import { Server, type Socket } from 'socket.io';
import { io, type Socket as ClientSocket } from 'socket.io-client';
import { later } from './database.js';

/* eslint-disable @typescript-eslint/no-explicit-any -- what goes over the wire, to be read and changed */

// What can stand between a client and its server: one that reads and changes what is said, one that cuts the line.

/** What a middleman does to what passes. Each may answer something else; undefined lets it pass as it is. */
export interface Lies {
  /** An event to the client. Null keeps it back. */
  event?: (event: string, payload: any) => unknown;
  /** The acknowledgement of an event of the client. */
  ack?: (event: string, answer: any, payload: any) => unknown;
  /** The answer to a request; an error goes out as 410. */
  reply?: (path: string, body: any) => any;
}

/** Speaks to clients as the server does, and to the server as they do; hears, and may change, everything. */
export class Middleman {
  /** Everything that clients sent, headers too, as JSON texts. */
  readonly sent: string[] = [];
  lies: Lies = {};
  private readonly backs = new Set<ClientSocket>();

  private constructor(
    private readonly target: string,
    private readonly http: HttpServer,
    private readonly io: Server,
  ) {}

  static async start(target: string): Promise<Middleman> {
    const http = createServer();
    const server = new Server(http, { transports: ['websocket'] });
    const middleman = new Middleman(target, http, server);
    http.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => {
      if (!incoming.url!.startsWith('/socket.io')) middleman.pass(incoming, outgoing);
    });
    server.use((front, next) => middleman.meet(front, next));
    await once(http.listen(0, '127.0.0.1'), 'listening');
    later(() => middleman.stop());
    return middleman;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  /** Ends the clients' connections; they come back. */
  interrupt(): void {
    this.io.disconnectSockets(true);
  }

  async stop(): Promise<void> {
    for (const back of this.backs) back.disconnect();
    await this.io.close();
    this.http.closeAllConnections();
  }

  private meet(front: Socket, next: (error?: Error) => void): void {
    const { auth } = front.handshake;
    this.note({ auth });
    const back = io(this.target, { transports: ['websocket'], reconnection: false, forceNew: true, auth });
    this.backs.add(back);
    const early: (() => void)[] = [];
    let met = false;
    back.onAny((event: string, payload: unknown, ack?: (answer: unknown) => void) => {
      const told = this.lies.event?.(event, payload);
      if (told === null) return;
      const tell = () => void (ack ? front.emit(event, told ?? payload, ack) : front.emit(event, told ?? payload));
      if (met) tell();
      else early.push(tell);
    });
    back.on('disconnect', () => front.disconnect(true));
    front.on('disconnect', () => back.disconnect());
    front.onAny((event: string, payload: unknown, ack?: (answer: unknown) => void) => {
      this.note({ event, payload });
      if (ack === undefined) return void back.emit(event, payload);
      back.emit(event, payload, (answer: unknown) => ack(this.lies.ack?.(event, answer, payload) ?? answer));
    });
    back.once('connect_error', (error) => next(error));
    back.once('connect', () => {
      next();
      // The client hears nothing before it has been let in.
      setImmediate(() => {
        met = true;
        for (const tell of early) tell();
      });
    });
  }

  private pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method, url: path, headers } = incoming;
    const body: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => body.push(chunk));
    incoming.on('end', () => {
      this.note({ method, path, headers, body: Buffer.concat(body).toString() });
      const onward = request(new URL(path!, this.target), { method, headers });
      outgoing.on('close', () => onward.destroy());
      onward.on('error', () => outgoing.destroy());
      onward.on('response', (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const json = answer.headers['content-type']?.includes('json');
          const told = json ? this.lies.reply?.(path!, JSON.parse(text)) : undefined;
          const status = told?.success === false ? 410 : answer.statusCode!;
          outgoing.writeHead(status, { 'content-type': answer.headers['content-type'] });
          outgoing.end(told === undefined ? text : JSON.stringify(told));
        });
      });
      onward.end(Buffer.concat(body));
    });
  }

  private note(what: unknown): void {
    this.sent.push(JSON.stringify(what));
  }
}

/** Passes bytes on, and breaks each connection after as many of them as it was told, in whichever direction they go. */
export class Cutter {
  private readonly lines = new Set<TcpSocket>();
  /** How many more bytes the next connections last; empty: for ever. */
  readonly lengths: number[] = [];
  /** Lets nobody through. */
  closed = false;
  cuts = 0;

  private constructor(
    private target: URL,
    private readonly server: TcpServer,
  ) {}

  static async start(target: string): Promise<Cutter> {
    const server = createTcpServer();
    const cutter = new Cutter(new URL(target), server);
    server.on('connection', (front: TcpSocket) => cutter.join(front));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    later(() => cutter.stop());
    return cutter;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Leads to another server from the next connection on. */
  lead(url: string): void {
    this.target = new URL(url);
  }

  /** Breaks all there are, and lets nobody through until `open`. */
  close(): void {
    this.closed = true;
    this.cut();
  }

  open(): void {
    this.closed = false;
  }

  /** Breaks all there are. */
  cut(): void {
    for (const line of this.lines) line.destroy();
  }

  stop(): Promise<unknown> {
    this.cut();
    return new Promise((resolve) => this.server.close(resolve));
  }

  private join(front: TcpSocket): void {
    if (this.closed) return void front.destroy();
    let left = this.lengths.shift() ?? Infinity;
    const back = connect(Number(this.target.port), this.target.hostname);
    this.lines.add(front).add(back);
    const pipe = (from: TcpSocket, to: TcpSocket) => {
      from.on('data', (chunk: Buffer) => {
        // The last bytes go through: what is lost is the answer, or half of it.
        to.write(left < chunk.length ? chunk.subarray(0, left) : chunk);
        left -= chunk.length;
        if (left >= 0 || from.destroyed) return;
        this.cuts++;
        to.destroySoon();
        from.destroy();
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        this.lines.delete(from);
        to.destroySoon();
      });
    };
    pipe(front, back);
    pipe(back, front);
  }
}
