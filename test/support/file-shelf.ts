import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Serves encrypted files as the server does, and as one that is hostile or far away would. */
export class FileShelf {
  readonly files = new Map<string, Buffer>();
  /** How many bytes of an answer the next ones bring before the line breaks; empty: all. */
  readonly lengths: number[] = [];
  /** Ranges that were asked for. */
  readonly asked: string[] = [];

  private constructor(private readonly http: Server) {}

  static async start(): Promise<FileShelf> {
    const http = createServer();
    const shelf = new FileShelf(http);
    http.on('request', (request: IncomingMessage, response: ServerResponse) => shelf.answer(request, response));
    await once(http.listen(0, '127.0.0.1'), 'listening');
    return shelf;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.http.closeAllConnections();
    this.http.close();
  }

  private answer({ url, headers }: IncomingMessage, response: ServerResponse): void {
    const file = this.files.get(url!.split('/').at(-1)!);
    if (file === undefined) return void response.writeHead(404).end();
    this.asked.push(headers.range!);
    const [from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range!)!.slice(1).map(Number) as [number, number];
    if (from >= file.length) return void response.writeHead(416).end();
    const bytes = file.subarray(from, to + 1);
    response.writeHead(206, {
      'Content-Range': `bytes ${from}-${from + bytes.length - 1}/${file.length}`,
      'Content-Length': bytes.length,
    });
    const length = this.lengths.shift() ?? Infinity;
    if (length >= bytes.length) return void response.end(bytes);
    response.write(bytes.subarray(0, length), () => response.destroy());
  }
}
