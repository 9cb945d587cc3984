import { openPhone, type PhoneClient } from '@pairline/client';
import { fileStore } from '@pairline/client/node';
import { Account, openTold } from '../../phone/src/account.js';
import { Folder } from '../../phone/src/folder.js';
import { importBackup } from '../../phone/src/import.js';

// Imports a backup in a process of its own, that dies by SIGKILL at the point that DIE names.

const { FOLDER = '', BACKUP = '', SERVER = '', DIE = '' } = process.env;

const die = (point: string) => {
  if (DIE === point) process.kill(process.pid, 'SIGKILL');
};
const folder = new Folder(FOLDER);
const client = await openPhone({ url: SERVER, store: fileStore(folder.file('client')), deviceName: 'Test phone' });
const mortal: Partial<PhoneClient> = {
  putConversations: (conversations) => client.putConversations(conversations),
  putMessages: async (messages) => {
    die('before the texts');
    await client.putMessages(messages);
    die('after the texts');
  },
  files: async () => {
    const files = await client.files();
    return {
      ...({ maxSize: () => files.maxSize(), remove: (id) => files.remove(id) } as typeof files),
      resume: (saved, file) => files.resume(saved, file),
      upload: async (file, options) => {
        const keep = async (saved: Parameters<NonNullable<NonNullable<typeof options>['keep']>>[0]) => {
          await options!.keep!(saved);
          die('an upload has begun');
        };
        const reference = await files.upload(file, { ...options, keep });
        die('an upload is whole');
        return reference;
      },
    };
  },
};
await importBackup(BACKUP, new Account(folder, mortal as PhoneClient, openTold(folder), 'US'), () => undefined);
