import { setTimeout as pause } from 'node:timers/promises';
import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { createTransport } from 'nodemailer';
import { ENV, type BootEnv } from '../env.js';
import { LOG, type Log } from '../log.js';
import type { Letter } from './templates.js';

/** Before the second try, and before the third. */
const PAUSES_MS = [1000, 5000];
const MOST_WAITING = 1000;
const CONNECTIONS = 2;
const ANSWER_MS = 10_000;
/** How long a server that stops waits for the mail server. */
const STOP_WITHIN_MS = 5000;

/** Sends mails by SMTP_URL, from MAIL_FROM. Development without them writes on the console, production sends none. */
@Injectable()
export class Mailer implements OnModuleInit, OnApplicationShutdown {
  private readonly transport: ReturnType<typeof pooled> | undefined;
  private readonly sending = new Set<Promise<void>>();
  private readonly stopping = new AbortController();

  constructor(
    @Inject(ENV) private readonly env: BootEnv,
    @Inject(LOG) private readonly log: Log,
  ) {
    this.transport = env.smtpUrl === undefined ? undefined : pooled(env.smtpUrl);
  }

  onModuleInit(): void {
    if (!this.available)
      this.log.warn('SMTP_URL is not set: nobody can sign in by a code, or get a new password by mail');
  }

  /** Whether what is sent arrives anywhere. */
  get available(): boolean {
    return this.transport !== undefined || !this.env.production;
  }

  /** Does not wait for the mail server. `sender` is shown as the name beside MAIL_FROM. */
  send(sender: string, to: string, letter: Letter): void {
    if (this.sending.size >= MOST_WAITING) {
      this.log.warn('too many mails wait for the mail server: one was not sent');
      return;
    }
    const sent: Promise<void> = this.trySending(sender, to, letter).finally(() => this.sending.delete(sent));
    this.sending.add(sent);
  }

  private async trySending(sender: string, to: string, letter: Letter): Promise<void> {
    if (this.transport === undefined) {
      // For who develops, at the terminal where they started it; a log would be the wrong place for a code.
      // eslint-disable-next-line no-console
      if (this.available) console.log(`Mail to ${to}: ${letter.text.trim().replace(/\s+/g, ' ')}`);
      return;
    }
    const mail = {
      ...letter,
      from: { name: sender, address: this.env.mailFrom! },
      to: { name: '', address: to },
      headers: { 'Auto-Submitted': 'auto-generated' },
    };
    for (let tries = 1; ; tries++) {
      const last = this.stopping.signal.aborted;
      try {
        await this.transport.sendMail(mail);
        return;
      } catch (error) {
        // The message quotes the address.
        const { code, responseCode = 0 } = error as { code?: string; responseCode?: number };
        const wait = PAUSES_MS[tries - 1];
        // RFC 5321, section 4.2.1: a 5yz reply means that the same again will fail again.
        if (wait === undefined || responseCode >= 500 || last) {
          this.log.warn({ code, responseCode, tries }, 'a mail could not be sent');
          return;
        }
        await this.pauseFor(wait);
      }
    }
  }

  /** Ends early when the server stops: then there is one try more. */
  private async pauseFor(ms: number): Promise<void> {
    try {
      await pause(ms, undefined, { signal: this.stopping.signal, ref: false });
    } catch (error) {
      if ((error as Error).name !== 'AbortError') throw error;
    }
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await Promise.race([Promise.all(this.sending), pause(STOP_WITHIN_MS, undefined, { ref: false })]);
    if (this.sending.size > 0) this.log.warn({ mails: this.sending.size }, 'the mail server did not answer in time');
    this.transport?.close();
  }
}

function pooled(url: string) {
  return createTransport({
    url,
    pool: true,
    maxConnections: CONNECTIONS,
    connectionTimeout: ANSWER_MS,
    greetingTimeout: ANSWER_MS,
    socketTimeout: ANSWER_MS,
    dnsTimeout: ANSWER_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}
