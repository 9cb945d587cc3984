import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compiledProject } from './compiled.js';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));

export interface TypeScriptProcess {
  child: ChildProcess;
  /** The first line of its output, from the start on, for which `wanted` is true; rejects if it ends before. */
  line(wanted: (line: string) => boolean): Promise<string>;
  /** Everything it has written so far. */
  output(): string;
  /** Its exit code, or the signal that ended it. */
  exited: Promise<number | string>;
  /** Sends a signal and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<number | string>;
}

/** What Node is told to run for a file of the project: its compiled copy, or an example, which imports TypeScript. */
export function programOf(file: string): string[] {
  if (!file.endsWith('.ts')) return ['--import', './test/support/typescript.mjs', file];
  return [join(compiledProject(), file.replace(/\.ts$/, '.js'))];
}

/**
 * Runs a TypeScript file of the project in a Node process of its own: `runTypeScript('src/main.ts', { env })`. `args` are
 * its own arguments; `input` is what it is given to read, and nothing when absent. With `more`, more can be written to the
 * child's `stdin`.
 */
export function runTypeScript(
  file: string,
  { args = [], input, more, ...options }: SpawnOptions & { args?: string[]; input?: string; more?: boolean } = {},
): TypeScriptProcess {
  const child = spawn(process.execPath, [...programOf(file), ...args], {
    cwd: PROJECT,
    ...options,
    // NODE_OPTIONS would bring Jest's flags along.
    env: { ...process.env, NODE_OPTIONS: '', ...options.env },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  if (more) child.stdin!.write(input!);
  else child.stdin?.end(input);
  const lines: string[] = [];
  const waiting = new Set<(line: string) => void>();
  for (const stream of [child.stdout!, child.stderr!]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      for (const told of waiting) told(line);
    });
  }
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);

  const line = async (wanted: (line: string) => boolean) => {
    const earlier = lines.find(wanted);
    if (earlier !== undefined) return earlier;
    return new Promise<string>((found, failed) => {
      const told = (next: string) => {
        if (!wanted(next)) return;
        waiting.delete(told);
        found(next);
      };
      waiting.add(told);
      void exited.then((code) => failed(new Error(`${file} ended (${code}): ${lines.slice(-20).join('\n')}`)));
    });
  };
  const end = (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal);
    return exited;
  };
  return { child, line, output: () => lines.join('\n'), exited, end };
}
