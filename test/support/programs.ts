import { spawnSync } from 'node:child_process';

/**
 * Whether a program from outside the project is there for a test to use. Where it is missing, one line says what is left
 * out and how to get it; under CI it has to be there, so that nothing is left out unseen.
 */
export function isInstalled(program: string, { leavesOut, get }: { leavesOut: string; get: string }): boolean {
  const { error } = spawnSync(program, ['--version'], { stdio: 'ignore' });
  if (error === undefined) return true;
  if (process.env.CI === 'true') throw new Error(`${program} is missing: ${get}`);
  process.stderr.write(`Left out, for want of ${program}: ${leavesOut}. To get it: ${get}\n`);
  return false;
}
