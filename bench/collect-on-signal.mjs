// Loaded into a server under test before anything else: SIGUSR2 collects all garbage and tells what is left.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

process.on('SIGUSR2', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  collect();
  collect();
  console.error(`memory ${JSON.stringify(process.memoryUsage())}`);
});
