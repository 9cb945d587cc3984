import { statSync } from 'node:fs';
import type { PhoneClient } from '@pairline/client';
import { Account, openTold } from '../../phone/src/account.js';
import { Folder } from '../../phone/src/folder.js';
import { importBackup } from '../../phone/src/import.js';

// Imports a backup in a process of its own, with a server that takes everything, and says how much memory that took.

const { FOLDER = '', BACKUP = '' } = process.env;
let told = 0;
let uploaded = 0;
const client = {
  putConversations: () => Promise.resolve(),
  putMessages: (messages: unknown[]) => Promise.resolve(void (told += messages.length)),
  files: () =>
    Promise.resolve({
      maxSize: () => Promise.resolve(1e9),
      upload: (file: { size: number }) => Promise.resolve(void (uploaded += file.size)),
    }),
} as unknown as PhoneClient;
const folder = new Folder(FOLDER);
const counts = await importBackup(BACKUP, new Account(folder, client, openTold(folder), 'US'), () => undefined);
// maxRSS is in KiB.
console.log(
  JSON.stringify({ told, uploaded, counts, bytes: statSync(BACKUP).size, peak: process.resourceUsage().maxRSS * 1024 }),
);
