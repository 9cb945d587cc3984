import { statSync } from 'node:fs';
import type { PhoneClient } from '@pairline/client';
import { Account, openTold } from '../../phone/src/account.js';
import { Folder } from '../../phone/src/folder.js';
import { importBackup } from '../../phone/src/import.js';

// Imports a backup in a process of its own, with a server that takes everything, and says how much memory it held at most.

const { FOLDER = '', BACKUP = '' } = process.env;
let told = 0;
let uploaded = 0;
let batches = 0;
let held = 0;

/** Bytes in use at the end of every tenth batch. After a collection: when one comes by itself depends on how busy the machine is. */
function weigh(): void {
  if (++batches % 10 !== 0) return;
  globalThis.gc!();
  const { heapUsed, external } = process.memoryUsage();
  held = Math.max(held, heapUsed + external);
}

const client = {
  putConversations: () => Promise.resolve(),
  putMessages: (messages: unknown[]) => {
    told += messages.length;
    weigh();
    return Promise.resolve();
  },
  files: () =>
    Promise.resolve({
      maxSize: () => Promise.resolve(1e9),
      upload: (file: { size: number }) => Promise.resolve(void (uploaded += file.size)),
    }),
} as unknown as PhoneClient;
const folder = new Folder(FOLDER);
const counts = await importBackup(BACKUP, new Account(folder, client, openTold(folder), 'US'), () => undefined);
console.log(JSON.stringify({ told, uploaded, counts, bytes: statSync(BACKUP).size, held }));
