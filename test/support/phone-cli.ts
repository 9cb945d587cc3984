import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { later } from './database.js';
import { programOf } from './spawn.js';

export interface Command {
  /** Gives it a line on standard input. */
  type(line: string): void;
  /** Ends its standard input. */
  hangUp(): void;
  /** The first line of its output that fits, past or to come. Rejects when it ends before. */
  line(wanted: (line: string) => boolean): Promise<string>;
  lines: string[];
  errors: string[];
  exited: Promise<number | string>;
  end(signal?: NodeJS.Signals): Promise<number | string>;
}

/** `pairline-phone ARGS`, as a process of its own. Ended after the test. */
export function pairlinePhone(args: string[], env: NodeJS.ProcessEnv = {}): Command {
  const child = spawn(process.execPath, [...programOf('phone/src/cli.ts'), ...args], {
    // NODE_OPTIONS would bring Jest's flags along.
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  const errors: string[] = [];
  const waiting = new Set<() => void>();
  const listen = (stream: NodeJS.ReadableStream, into: string[]) =>
    createInterface({ input: stream }).on('line', (line) => {
      into.push(line);
      for (const look of [...waiting]) look();
    });
  listen(child.stdout, lines);
  listen(child.stderr, errors);
  child.stdin.on('error', () => undefined);
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  const end = (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal);
    return exited;
  };
  later(() => end('SIGKILL'));
  return {
    type: (line) => void child.stdin.write(`${line}\n`),
    hangUp: () => void child.stdin.end(),
    lines,
    errors,
    exited,
    end,
    line: (wanted) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = lines.find(wanted);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
        void exited.then((code) =>
          reject(new Error(`It ended (${code}): ${[...lines, ...errors].slice(-20).join('\n')}`)),
        );
      }),
  };
}

/** Runs it to its end. */
export async function runPairlinePhone(args: string[], { input = '', env = {} } = {}) {
  const command = pairlinePhone(args, env);
  if (input !== '') command.type(input);
  command.hangUp();
  const code = await command.exited;
  return { code, out: command.lines.join('\n'), error: command.errors.join('\n') };
}
