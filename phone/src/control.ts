import { chmodSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Folder } from './folder.js';

/** What a person asks of the agent that runs in the background. */
export type Request =
  | { command: 'pair'; code: string }
  | { command: 'devices' }
  | { command: 'unpair' }
  | { command: 'import'; path: string }
  | { command: 'resolve'; id: string; decision: 'sent' | 'again' | 'drop' };

/** A line of the answer: something to say, how far it is, or the end with its exit code. */
type Answer = { say: string } | { progress: number; count: number } | { code: number };

/** Where the answer of a command goes. */
export interface Listener {
  say(line: string): void;
  /** 0 to 1, and how many texts so far. */
  progress(done: number, count: number): void;
}

const SOCKET = 'socket';
/** The address of a Unix socket has room for so many bytes. */
const MAX_PATH = 100;

/** Takes requests for a running agent, from its owner alone. */
export class Control {
  private constructor(
    private readonly server: Server,
    private readonly open: Set<Socket>,
  ) {}

  /** Resolves with undefined where the folder's path is too long for a socket. */
  static async listen(
    folder: Folder,
    handle: (request: Request, listener: Listener) => Promise<number>,
  ): Promise<Control | undefined> {
    const path = folder.file(SOCKET);
    if (Buffer.byteLength(path) > MAX_PATH) return undefined;
    rmSync(path, { force: true });
    const open = new Set<Socket>();
    const server = createServer((socket) => {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
      socket.on('error', () => undefined); // Whoever asked went away.
      const answer = (line: Answer) => socket.write(`${JSON.stringify(line)}\n`);
      createInterface({ input: socket }).once('line', (line) => {
        handle(JSON.parse(line) as Request, {
          say: (said) => answer({ say: said }),
          progress: (progress, count) => answer({ progress, count }),
        })
          .catch((error: unknown) => {
            answer({ say: error instanceof Error ? error.message : String(error) });
            return 1;
          })
          .then((code) => socket.end(`${JSON.stringify({ code })}\n`), () => undefined); // prettier-ignore
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject);
      server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    return new Control(server, open);
  }

  /** Answers that are under way are finished first. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.open) if (socket.readableEnded) socket.destroy();
    await closed;
  }
}

/** The agent that works with the folder does not take requests. The message is a sentence for people. */
export class Unreachable extends Error {
  override name = 'Unreachable';
}

/**
 * Asks the agent that works with this folder. Resolves with the exit code. Rejects with `Unreachable` when it does not listen.
 */
export async function ask(folder: Folder, request: Request, listener: Listener): Promise<number> {
  const socket = createConnection(folder.file(SOCKET));
  socket.write(`${JSON.stringify(request)}\n`);
  let code = 1;
  await new Promise<void>((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => {
      const isDeaf = error.code === 'ENOENT' || error.code === 'ECONNREFUSED';
      reject(isDeaf ? new Unreachable(`The agent (process ${folder.holder() ?? 'that has just ended'}) takes no requests. If it asks for the link at its own terminal, answer there; otherwise end it, and try again.`) : error); // prettier-ignore
    };
    socket.on('error', fail);
    createInterface({ input: socket })
      .on('error', fail) // It hears of the socket's errors too.
      .on('line', (line) => {
        const answer = JSON.parse(line) as Answer;
        if ('say' in answer) listener.say(answer.say);
        else if ('progress' in answer) listener.progress(answer.progress, answer.count);
        else code = answer.code;
      })
      .on('close', resolve);
  });
  return code;
}
