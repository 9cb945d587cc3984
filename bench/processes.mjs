// What a process costs, as Linux tells it under /proc.
import { readFileSync, readdirSync } from 'node:fs';

/** `getconf CLK_TCK`: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/**
 * The fields of /proc/<pid>/stat after the name, which may itself hold spaces and brackets (proc_pid_stat(5), from field 3 on).
 * @param {number} pid
 * @returns {string[] | null} null when the process is gone
 */
function stat(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return null;
    throw error;
  }
}

/** @param {number} pid */
function children(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    // A kernel without CONFIG_PROC_CHILDREN: ask every process for its parent.
    const pids = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
    return pids.filter((candidate) => stat(candidate)?.[1] === String(pid));
  }
}

/**
 * CPU seconds (user and system, all threads) that a process has used.
 * @param {number} pid
 */
export function processCpu(pid) {
  const fields = stat(pid);
  return fields === null ? 0 : (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/**
 * CPU seconds that a whole Postgres cluster has used: the postmaster, its living children, and those that ended.
 * @param {number} postmaster its pid
 */
export function clusterCpu(postmaster) {
  const fields = stat(postmaster);
  if (fields === null) return 0;
  const own = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND;
  return children(postmaster).reduce((sum, child) => sum + processCpu(child), own);
}

/** Seconds that the machine's CPUs, taken together, have been idle (waiting for the disk included). */
export function idleCpu() {
  const [, , , , idle, iowait] = readFileSync('/proc/stat', 'latin1').split('\n')[0].split(/\s+/);
  return (Number(idle) + Number(iowait)) / TICKS_PER_SECOND;
}

/** How many files and sockets a process of ours may open. Node raises its soft limit to this by itself. */
export function openFileLimit() {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  return hard === 'unlimited' ? Infinity : Number(hard);
}

/**
 * @typedef {{ server?: number, postmaster?: number }} Watched pids to account for
 * @typedef {{ wall: number, server: number, postgres: number, client: number, idle: number }} Costs seconds
 */

/**
 * Starts counting; the function it returns tells what was used since.
 * @param {Watched} watched
 * @returns {() => Costs}
 */
export function meter(watched) {
  const read = () => {
    const own = process.cpuUsage();
    return {
      wall: performance.now() / 1000,
      server: watched.server === undefined ? 0 : processCpu(watched.server),
      postgres: watched.postmaster === undefined ? 0 : clusterCpu(watched.postmaster),
      client: (own.user + own.system) / 1e6,
      idle: idleCpu(),
    };
  };
  const before = read();
  return () => {
    const after = read();
    for (const key of Object.keys(after)) after[key] -= before[key];
    return after;
  };
}
