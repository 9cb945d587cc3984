import {
  memoryStore,
  openPhone,
  openWebClient,
  type Message,
  type Pairing,
  type PhoneClient,
  type Store,
  type WebClient,
} from '@pairline/client';
import { later } from './database.js';

// Both ends of the client library, against a real server.

/** Resolves with what `look` answers once it answers anything; looked at now and after each of the events. */
export async function until<T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
  listen: (again: () => void) => (() => void)[],
  what = 'a condition',
): Promise<T> {
  const first = await look();
  if (first !== undefined && first !== false) return first;
  return new Promise((resolve, reject) => {
    let again = true;
    let looking = false;
    const finish = (answer: () => void) => {
      clearTimeout(timer);
      for (const leave of leaves) leave();
      answer();
    };
    const timer = setTimeout(() => finish(() => reject(new Error(`Never came: ${what}`))), 20_000);
    const check = async () => {
      again = true;
      if (looking) return;
      looking = true;
      while (again) {
        again = false;
        const found = await look();
        if (found !== undefined && found !== false) return finish(() => resolve(found));
      }
      looking = false;
    };
    const notice = () => void check().catch((error: Error) => finish(() => reject(error)));
    const leaves = listen(notice);
    notice();
  });
}

/** Resolves once a browser shows what is looked for. */
export function shows<T>(
  web: WebClient,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  what?: string,
): Promise<T> {
  return until(look, (again) => [web.on('state', again), web.on('messages', again), web.on('conversations', again), web.on('devices', again)], what); // prettier-ignore
}

export function inPhase(client: WebClient | PhoneClient, phase: string): Promise<unknown> {
  const on = client.on.bind(client) as WebClient['on'];
  return until(() => client.state.phase === phase, (again) => [on('state', again)], `phase ${phase}`); // prettier-ignore
}

export async function phoneAt(url: string, { store = memoryStore() }: { store?: Store } = {}): Promise<PhoneClient> {
  const phone = await openPhone({ url, store, deviceName: 'Ann’s phone', deviceModel: 'T1' });
  later(() => phone.close());
  return phone;
}

export async function webAt(url: string, { store = memoryStore() }: { store?: Store } = {}): Promise<WebClient> {
  const web = await openWebClient({ url, store });
  later(() => web.close());
  return web;
}

/** Resolves with the code that a browser shows. */
export async function shownCode(pairing: Pairing): Promise<string> {
  return until(
    () => pairing.state.code,
    (again) => [pairing.on('state', again)],
    'a code',
  );
}

export function paired(pairing: Pairing): Promise<unknown> {
  return until(
    () => {
      if (pairing.state.step === 'failed') throw new Error(`Pairing failed: ${pairing.state.problem}`);
      return pairing.state.step === 'done';
    },
    (again) => [pairing.on('state', again)],
    'the end of a pairing',
  );
}

/** Lets a browser in; resolves when it is signed in. */
export async function letIn(by: PhoneClient | WebClient, web: WebClient, remember = true): Promise<void> {
  const pairing = web.pair({ deviceName: 'A browser', remember });
  const code = await shownCode(pairing);
  await ('approve' in by ? by.approve(code) : by.pair(code));
  await paired(pairing);
}

/** A phone, and browsers that it let in, all live. */
export async function household(url: string, browsers = 1): Promise<{ phone: PhoneClient; webs: WebClient[] }> {
  const phone = await phoneAt(url);
  const webs: WebClient[] = [];
  for (let i = 0; i < browsers; i++) {
    const web = await webAt(url);
    await letIn(phone, web);
    await inPhase(web, 'live');
    webs.push(web);
  }
  return { phone, webs };
}

/** Does not wait for the next attempt: a test has no time for jitter. */
export function eager<Client extends WebClient | PhoneClient>(client: Client): Client {
  const on = client.on.bind(client) as WebClient['on'];
  on('state', ({ phase }) => {
    if (phase === 'offline') client.reconnect();
  });
  return client;
}

let clock = Date.UTC(2026, 0, 1);

/** A message as a phone tells it, each newer than the last. */
export function told(text: string, fields: Record<string, unknown> = {}) {
  const timestamp = (clock += 1000);
  return {
    id: `m-${timestamp}`,
    conversationId: 't1',
    number: '+15550100',
    text,
    timestamp,
    type: 'received' as const,
    ...fields,
  };
}

export function texts(messages: Message[]): string[] {
  return messages.map(({ text, fault }) => fault ?? text);
}
