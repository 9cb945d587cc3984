import { existsSync } from 'node:fs';
import type { Account } from './account.js';
import type { Listener, Request } from './control.js';
import { importBackup, toSentences } from './import.js';
import type { Decision } from './outbox.js';

/** What a command works on: a running agent, or just the account. */
export interface Desk {
  account(): Promise<Account>;
  pair(code: string): Promise<void>;
  unpair(): Promise<void>;
  resolve(id: string, decision: Decision): boolean;
}

/** Does what a person asked for. Resolves with the exit code. */
export async function perform(request: Request, desk: Desk, listener: Listener): Promise<number> {
  switch (request.command) {
    case 'pair':
      await desk.pair(request.code);
      listener.say('The browser was let in.');
      return 0;
    case 'devices':
      for (const line of await describeDevices(await desk.account())) listener.say(line);
      return 0;
    case 'unpair':
      await desk.unpair();
      listener.say('The phone was taken off the server.');
      return 0;
    case 'resolve':
      if (desk.resolve(request.id, request.decision)) return 0;
      listener.say(`No text ${request.id} waits for an answer.`);
      return 1;
    case 'import': {
      if (!existsSync(request.path)) {
        listener.say(`There is no file ${request.path}.`);
        return 1;
      }
      const account = await desk.account();
      const counts = await importBackup(request.path, account, (done, { read }) => listener.progress(done, read));
      for (const line of toSentences(counts)) listener.say(line);
      return counts.problem === undefined ? 0 : 1;
    }
  }
}

async function describeDevices(account: Account): Promise<string[]> {
  return (await account.devices()).flatMap(({ device, words }) => [
    `${device.name} (${device.kind}${device.current ? ', this one' : ''}), last seen ${timeOf(device.lastSeen)}`,
    ...(words === undefined ? [] : [`  the same words there: ${words.join(' ')}`]),
    ...(device.verified ? [] : ['  cannot read what is encrypted']),
  ]);
}

function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}
