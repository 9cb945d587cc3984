import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { Watched } from './watched.js';

/** A mail as its reader sees it. */
export interface Received {
  to: string[];
  from: string;
  /** By lower-case name, decoded. */
  headers: Record<string, string>;
  text: string;
  html: string;
}

/** A real mail server on a free port that keeps what it gets. */
export class MailServer extends Watched {
  readonly mails: Received[] = [];
  /** How many came in, taken or not. */
  tries = 0;

  private constructor(private readonly server: SMTPServer) {
    super();
  }

  /** `refusal` says with which code a try is refused, the first being 1; undefined takes it. */
  static async start({
    refusal = () => undefined,
    ...options
  }: SMTPServerOptions & { refusal?: (tries: number) => number | undefined } = {}): Promise<MailServer> {
    const server = new SMTPServer({
      authOptional: options.onAuth === undefined,
      allowInsecureAuth: true,
      disabledCommands: ['STARTTLS'],
      logger: false,
      ...options,
      onData: (stream, session, done) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          self.tries += 1;
          const code = refusal(self.tries);
          if (code === undefined) {
            const { mailFrom, rcptTo } = session.envelope;
            const from = mailFrom ? mailFrom.address : '';
            self.mails.push({ from, to: rcptTo.map(({ address }) => address), ...parse(Buffer.concat(chunks)) });
            done();
          } else done(Object.assign(new Error('not now'), { responseCode: code }));
          self.changed();
        });
      },
    });
    // A client that goes in the middle is a client's business.
    server.on('error', () => undefined);
    const self = new MailServer(server);
    server.listen(0, '127.0.0.1');
    await once(server.server, 'listening');
    return self;
  }

  /** What SMTP_URL would be; `login` is `user:password`. */
  url(login?: string): string {
    const { port } = this.server.server.address() as AddressInfo;
    return `smtp://${login === undefined ? '' : `${login}@`}127.0.0.1:${port}`;
  }

  /** Resolves with the `count`th mail to the address, come or to come. */
  async mailTo(address: string, count = 1): Promise<Received> {
    return this.until(
      () => this.mails.filter(({ to }) => to.includes(address))[count - 1],
      `mail ${count} to ${address}`,
    );
  }

  /** The six digits of the `count`th mail to the address. */
  async codeFor(address: string, count = 1): Promise<string> {
    return /\b\d{6}\b/.exec((await this.mailTo(address, count)).text)![0];
  }

  /** Resolves once that many tries came in. */
  async tried(count: number): Promise<void> {
    await this.until(() => this.tries >= count, `try ${count}`);
  }

  protected story(): string {
    return `${this.tries} tries, mails to ${this.mails.map(({ to }) => to.join()).join(' ')}`;
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

function parse(raw: Buffer): Omit<Received, 'to' | 'from'> {
  const { headers, body } = partOf(raw.toString('latin1'));
  const boundary = /boundary="([^"]+)"/.exec(headers['content-type'] ?? '')![1]!;
  const parts = body.split(`--${boundary}`).slice(1, -1).map((part) => partOf(part.replace(/^\r\n/, ''))); // prettier-ignore
  const of = (type: string) => {
    const part = parts.find(({ headers }) => headers['content-type']?.startsWith(type));
    return decoded(part!.body, part!.headers['content-transfer-encoding'] ?? '7bit')
      .replaceAll('\r\n', '\n')
      .trim();
  };
  return { headers, text: of('text/plain'), html: of('text/html') };
}

function partOf(source: string) {
  const end = source.indexOf('\r\n\r\n');
  const lines = source.slice(0, end).replace(/\r\n[ \t]+/g, ' ').split('\r\n'); // prettier-ignore
  const headers = lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), words(line.slice(line.indexOf(':') + 1).trim())]); // prettier-ignore
  return { headers: Object.fromEntries(headers) as Record<string, string>, body: source.slice(end + 4) };
}

function decoded(body: string, encoding: string): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString();
  if (encoding !== 'quoted-printable') return Buffer.from(body, 'latin1').toString();
  return fromHex(body.replace(/=\r\n/g, ''));
}

/** RFC 2047. */
function words(value: string): string {
  return value.replace(/=\?utf-8\?([QB])\?([^?]*)\?=/gi, (_, encoding: string, text: string) =>
    encoding.toUpperCase() === 'B' ? Buffer.from(text, 'base64').toString() : fromHex(text.replaceAll('_', ' ')),
  );
}

function fromHex(text: string): string {
  const bytes = text.replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}
