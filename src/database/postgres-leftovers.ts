import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PostgresFolder } from './postgres-folder.js';
import { StartupError } from './startup-error.js';

const PATIENCE_MS = 60_000;

/**
 * Ends the Postgres processes that a killed server left on this folder; call it under the folder's lock. They are known by
 * the folder's marker in their command line, never by a number in a file, which may be anybody's by now.
 */
export async function stopLeftovers({ cluster, marker }: PostgresFolder): Promise<number> {
  const deadline = Date.now() + PATIENCE_MS;
  const signalled = new Set<number>();
  for (;;) {
    const left = runningProcesses().filter(({ commandLine }) => commandLine.includes(marker));
    if (left.length === 0) break;
    if (Date.now() > deadline)
      throw new StartupError(`A Postgres (process ${left[0]?.pid}) on ${cluster} does not stop.`);

    const main = left.filter(({ commandLine }) => commandLine.includes(`cluster_name=${marker}`));
    // Backends whose main process is gone hold the shared memory that the next one needs, and nothing will come of them.
    for (const { pid } of main.length > 0 ? main : left) {
      if (signalled.has(pid)) continue;
      signalled.add(pid);
      signal(pid, main.length > 0 ? 'SIGINT' : 'SIGQUIT');
    }
    await delay(50);
  }
  // Its process is gone, but its number may be another's by now: Postgres would take that for itself and refuse to start.
  rmSync(join(cluster, 'postmaster.pid'), { force: true });
  return signalled.size;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH') return;
    if (code === 'EPERM')
      throw new StartupError(`A Postgres on this folder (process ${pid}) belongs to another user: stop it.`);
    throw error;
  }
}

interface Process {
  pid: number;
  commandLine: string;
}

function runningProcesses(): Process[] {
  if (process.platform === 'linux') return readdirSync('/proc').filter(isNumber).flatMap(readProcess);
  const [program, ...args] =
    process.platform === 'win32'
      ? [
          'powershell',
          '-NoProfile',
          '-Command',
          `${WINDOWS_POSTGRES} | ForEach-Object { "$($_.ProcessId) $($_.CommandLine)" }`,
        ]
      : ['ps', '-A', '-o', 'pid=,args='];
  const lines = execFileSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 26 }).split('\n');
  return lines.map((line) => ({ pid: parseInt(line, 10), commandLine: line })).filter(({ pid }) => pid > 0);
}

const WINDOWS_POSTGRES = `Get-CimInstance Win32_Process -Filter "Name='postgres.exe'"`;

const isNumber = (name: string) => /^\d+$/.test(name);

function readProcess(pid: string): Process[] {
  try {
    return [{ pid: Number(pid), commandLine: readFileSync(`/proc/${pid}/cmdline`, 'utf8') }];
  } catch {
    // It ended meanwhile, or it is hidden from us and so not ours.
    return [];
  }
}
