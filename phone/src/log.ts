import { appendFileSync, existsSync, readFileSync, renameSync, statSync } from 'node:fs';
import type { Folder } from './folder.js';

const MAX_BYTES = 512 * 1024;

/** Where the agent says what happens. `private` lines hold names and texts: they never reach the log file. */
export interface Voice {
  say(line: string): void;
  /** For a person at the terminal; the log gets `line`. */
  tell(line: string, toPerson: string): void;
}

/** The log file of an agent: at most two files of half a MiB. */
export class LogFile {
  constructor(private readonly folder: Folder) {}

  add(line: string): void {
    const path = this.folder.file('agent.log');
    if (existsSync(path) && statSync(path).size > MAX_BYTES) renameSync(path, `${path}.old`);
    appendFileSync(path, `${new Date().toISOString()} ${line}\n`, { mode: 0o600 });
  }

  /** The whole of it, the oldest line first. */
  read(): string {
    const path = this.folder.file('agent.log');
    return [`${path}.old`, path].map((file) => (existsSync(file) ? readFileSync(file, 'utf8') : '')).join('');
  }
}

/** Says each line in the log file and, through `print`, to the person. */
export function speakingTo(log: LogFile, print: (line: string) => void, { contents }: { contents: boolean }): Voice {
  return {
    say: (line) => {
      log.add(line);
      print(line);
    },
    tell: (line, toPerson) => {
      log.add(line);
      print(contents ? toPerson : line);
    },
  };
}
