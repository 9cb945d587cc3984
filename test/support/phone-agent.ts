import { openPhone, openWebClient, memoryStore, type PhoneClient, type WebClient } from '@pairline/client';
import { fileStore } from '@pairline/client/node';
import { Agent } from '../../phone/src/agent.js';
import { realClock, type Clock } from '../../phone/src/clock.js';
import type { Driver } from '../../phone/src/driver.js';
import { Folder } from '../../phone/src/folder.js';
import { Ledger } from '../../phone/src/ledger.js';
import { later } from './database.js';

export interface RunningAgent {
  agent: Agent;
  ledger: Ledger;
  /** What it said, for people. */
  said: string[];
  /** What its log would hold. */
  logged: string[];
  /** Ends it, and waits for that. */
  stop: () => Promise<unknown>;
  ended: ReturnType<Agent['run']>;
}

/** An agent in this process, on a folder. Stopped after the test. */
export function runAgent(url: string, path: string, driver: Driver, clock: Clock = realClock): RunningAgent {
  const folder = new Folder(path);
  folder.settings = { ...folder.settings, url };
  const ledger = new Ledger(folder.file('ledger'));
  const said: string[] = [];
  const logged: string[] = [];
  const stopping = new AbortController();
  const agent = new Agent({
    driver,
    folder,
    ledger,
    clock,
    url,
    voice: {
      say: (line) => void [said, logged].forEach((lines) => lines.push(line)),
      tell: (line, toPerson) => void (logged.push(line), said.push(toPerson)),
    },
    openClient: (): Promise<PhoneClient> => openPhone({ url, store: fileStore(folder.file('client')), deviceName: 'Test phone' }), // prettier-ignore
  });
  const ended = agent.run(stopping.signal);
  ended.catch(() => undefined);
  const stop = async () => {
    stopping.abort();
    const ending = await ended;
    ledger.close();
    return ending;
  };
  let stopped: Promise<unknown> | undefined;
  const once = () => (stopped ??= stop());
  later(() => once().catch(() => undefined));
  return { agent, ledger, said, logged, stop: once, ended };
}

/** A browser that the agent has let in, with everything it was told so far. */
export async function browserOf(url: string, agent: Pick<Agent, 'pair'>): Promise<WebClient> {
  const web = await openWebClient({ url, store: memoryStore() });
  later(() => web.close());
  const pairing = web.pair({ deviceName: 'Test browser', remember: false });
  const code = await until(
    (again) => pairing.on('state', again),
    () => pairing.state.code,
  );
  await agent.pair(code);
  await until(
    (again) => web.on('state', again),
    () => web.state.phase === 'live',
  );
  return web;
}

/** Resolves with what `look` answers once it answers something; `watch` calls back whenever that may have changed. */
export async function until<Answer>(
  watch: (again: () => void) => () => void,
  look: () => Answer | undefined | false | Promise<Answer | undefined | false>,
): Promise<Answer> {
  let ring: () => void = () => undefined;
  let rung = false;
  const stop = watch(() => {
    rung = true;
    ring();
  });
  try {
    for (;;) {
      rung = false;
      const answer = await look();
      if (answer !== undefined && answer !== false) return answer;
      if (!rung) await new Promise<void>((resolve) => (ring = resolve));
    }
  } finally {
    stop();
  }
}

/** Resolves once what the browser shows of a conversation is as `look` wants it. */
export function untilShown<Answer>(web: WebClient, look: () => Promise<Answer | undefined | false>): Promise<Answer> {
  return until((again) => {
    const offs = [web.on('messages', again), web.on('conversations', again), web.on('state', again)];
    return () => offs.forEach((off) => off());
  }, look);
}
