import type { Contact } from '@pairline/client';

// What makes a phone of a program, a modem or a script. The agent is written against this alone.

/** A picture or another file that came with a text (MMS). */
export interface DriverFile {
  name: string;
  /** As in `Content-Type`. */
  type: string;
  bytes: Buffer;
}

/** A text that is on the phone. */
export interface DriverMessage {
  /** Names this text on this phone for ever. What the server sees is made from it with a secret. */
  key: string;
  /** The other side as the phone writes it: a number in any form, a short code or a name. */
  number: string;
  /** May be empty where there are files. */
  text: string;
  files?: DriverFile[];
  /** ms since 1970 */
  timestamp: number;
  type: 'sent' | 'received';
  status?: 'sent' | 'failed';
  read: boolean;
}

/** A text to be sent. */
export interface Outgoing {
  id: string;
  number: string;
  text: string;
}

/**
 * How handing a text to the radio went. `failed` is certain: it was not sent. `unknown` is everything that is not
 * certain. `key` and `timestamp` are those of the text on the phone, where it lists what it sent.
 */
export interface Outcome {
  result: 'sent' | 'failed' | 'unknown';
  /** Why, in a few words for people. */
  reason?: string;
  key?: string;
  timestamp?: number;
}

/** What a driver tells while it runs. */
export interface DriverEvents {
  /** There may be something new: read `news`. */
  news(): void;
  /** A text that was sent earlier arrived, or did not. */
  reported(id: string, status: 'delivered' | 'failed'): void;
  /** The phone loses its network for a while (ms). */
  away(milliseconds: number): void;
  /** Something to show, without contents, names or numbers. */
  say(line: string): void;
  /** Whether a text on the phone is one that the agent sent. */
  isOurs(key: string): boolean;
  /** Texts that were handed over without it being known yet what became of them, with the mark of `prepare`. */
  unresolved(): { message: Outgoing; mark: string }[];
}

/** Texts that came after a position, oldest first, and the position after them. */
export interface News {
  messages: DriverMessage[];
  position: string;
  more: boolean;
}

/** Texts from before a position, newest first. */
export interface HistoryPage {
  messages: DriverMessage[];
  /** Where the next page starts; absent after the last one. */
  before?: string;
  /** How much of all is done with this page: 0 to 1, an estimate. */
  done: number;
}

/** Rejects with `DriverProblem` when the phone cannot be used at the moment. */
export interface Driver {
  /** The kind of phone, for the list of devices. */
  readonly model: string;
  /** Resolves when the phone is there; `region` is where numbers without a country belong ("DE"), if the phone knows. */
  start(events: DriverEvents): Promise<{ region?: string }>;
  stop(): Promise<void>;

  contacts(): Promise<Contact[]>;
  /** Where the phone's texts end now. */
  position(): Promise<string>;
  news(after: string): Promise<News>;
  history(before: string): Promise<HistoryPage>;

  /**
   * Called before `send`; nothing is sent. What it answers is kept on disk, and helps `trace` to recognise the text. A
   * `DriverProblem` here means: later.
   */
  prepare(message: Outgoing): Promise<string>;
  /** Hands a text to the radio, once. Never rejects: what went wrong in between is `unknown`. */
  send(message: Outgoing, mark: string): Promise<Outcome>;
  /** Looks for a text that was perhaps handed over before the agent ended; nothing is sent. */
  trace(message: Outgoing, mark: string): Promise<Outcome>;

  /** Shows its owner that so many texts wait for an answer, where the phone can; never rejects. */
  showQuestions?(count: number): Promise<void>;
}

/** The phone cannot be used now. The message is a sentence for people, with what to do. */
export class DriverProblem extends Error {
  override name = 'DriverProblem';
}
