// The server as it is started, which also tells of faults that nobody caught and, on SIGUSR2, what memory it holds.
import { writeSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

process.on('uncaughtException', (error) => writeSync(1, `FAULT uncaught ${JSON.stringify(error.stack)}\n`));
process.on('unhandledRejection', (error) => {
  writeSync(1, `FAULT unhandled ${JSON.stringify(error instanceof Error ? error.stack : error)}\n`);
});
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
let times = 0;
process.on('SIGUSR2', () => {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  writeSync(1, `MEMORY ${++times} ${heapUsed + external}\n`);
});
await import('../../src/main.js');
