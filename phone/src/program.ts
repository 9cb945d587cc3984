import { spawn } from 'node:child_process';

/** How a program ended: its output, or why there is none. */
export interface Ran {
  output: string;
  errors: string;
  /** The exit code; undefined when it was killed. */
  code?: number;
  problem?: 'missing' | 'timeout';
}

/** Runs a program without a shell. Never rejects. */
export function runProgram(
  program: string,
  args: string[],
  { input = '', timeout, env = process.env }: { input?: string; timeout: number; env?: NodeJS.ProcessEnv },
): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    let problem: Ran['problem'];
    const timer = setTimeout(() => {
      problem = 'timeout';
      child.kill('SIGKILL');
      // A child of its own may hold the pipes open.
      child.stdout.destroy();
      child.stderr.destroy();
    }, timeout);
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    child.stdin.on('error', () => undefined); // It ended without reading.
    child.stdin.end(input);
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') problem = 'missing';
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({
        output: Buffer.concat(output).toString('utf8'),
        errors: Buffer.concat(errors).toString('utf8'),
        code: code ?? undefined,
        problem,
      });
    });
  });
}
