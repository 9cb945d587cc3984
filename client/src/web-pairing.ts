import type { Paired } from '@pairline/protocol';
import { asClientError, isPassing, waitAfter } from './connection.js';
import { Emitter } from './emitter.js';
import { call } from './http.js';
import { newCode, newDevice, type DeviceKeys, type NewCode } from './keys/index.js';
import { ClientError, type Pairing, type PairingState } from './types.js';
import { pause } from './waiting.js';

/** A code is renewed this long before it expires, or after three quarters of its time. */
const RENEWED_BEFORE_MS = 60_000;
const MARGIN_MS = 30_000;
/** What the server says of a code that is over; the next one may be answered. */
const OVER = new Set(['pairing_timeout', 'pairing_used', 'pairing_unknown']);

/** What the answer to a shown code is opened with; neither is there where the page cannot encrypt. */
export interface Shown {
  code?: NewCode['code'];
  device?: DeviceKeys;
}

interface Offer extends Shown {
  token: string;
  text: string;
  link: string;
  expiresIn: number;
}

/** Shows codes, each in time for the next, until a device answers one of them. */
export class WebPairing implements Pairing {
  state: PairingState = { step: 'loading' };
  private readonly emitter = new Emitter<{ state: [PairingState] }>();
  private stopping = new AbortController();
  private running: Promise<void>;

  constructor(
    private readonly url: string,
    private readonly deviceName: string,
    /** Signs in with the answer; rejects with a `ClientError` for one that does not open. */
    private readonly accept: (paired: Paired, shown: Shown) => Promise<void>,
  ) {
    this.running = this.run();
  }

  on(event: 'state', listener: (state: PairingState) => void): () => void {
    return this.emitter.on(event, listener);
  }

  retry(): void {
    if (this.state.step === 'failed') this.running = this.run();
  }

  cancel(): void {
    this.stopping.abort();
  }

  /** Cancels, and resolves when nothing is under way any more. */
  async end(): Promise<void> {
    this.cancel();
    await this.running;
  }

  private async run(): Promise<void> {
    this.show({ step: 'loading' });
    try {
      const answer = await this.answer();
      if (answer === undefined) return;
      this.show({ step: 'scanned' });
      await this.accept(answer.paired, answer.offer);
      this.show({ step: 'done' });
    } catch (error) {
      this.show({ step: 'failed', problem: asClientError(error).code });
    }
  }

  /** The first answer to any code that is still good. */
  private async answer(): Promise<{ paired: Paired; offer: Offer } | undefined> {
    const answered = new AbortController();
    const over = AbortSignal.any([answered.signal, this.stopping.signal]);
    let answer: { paired: Paired; offer: Offer } | undefined;
    let refusal: Error | undefined;
    try {
      while (!over.aborted) {
        const offer = await this.offer(over);
        if (offer === undefined) break;
        this.show({ step: 'waiting', code: offer.text, link: offer.link });
        const renewal = new AbortController();
        // Somebody may be about to scan a code that has just been renewed: it is waited for until it expires.
        void this.wait(offer, over).then(
          (paired) => {
            if (paired === undefined) return renewal.abort();
            answer ??= { paired, offer };
            answered.abort();
          },
          (error: Error) => {
            refusal ??= error;
            answered.abort();
          },
        );
        const life = Math.max(offer.expiresIn - RENEWED_BEFORE_MS, 0.75 * offer.expiresIn);
        await pause(life, AbortSignal.any([over, renewal.signal]));
      }
    } finally {
      answered.abort();
    }
    if (answer === undefined && refusal !== undefined) throw refusal;
    return answer;
  }

  private async offer(over: AbortSignal): Promise<Offer | undefined> {
    for (let attempt = 0; !over.aborted; attempt++)
      try {
        const { data } = await call<{ data: { qrData: string; token: string; expiresIn: number } }>(
          this.url,
          '/api/auth/generate-qr',
          { signal: over },
        );
        const { token, expiresIn, qrData } = data;
        // Without a secure context a page has no cryptography; existing phones can still let it in.
        if (globalThis.crypto?.subtle === undefined) return { token, expiresIn, text: qrData, link: linkOf(this.url, qrData) }; // prettier-ignore
        const device = await newDevice();
        const shown = newCode(qrData, device);
        const link = shown.link(new URL('/', this.url).href);
        return { token, expiresIn, device, code: shown.code, text: shown.text, link };
      } catch (error) {
        if (over.aborted) return undefined;
        if (!isPassing(error)) throw error;
        this.show({ step: 'loading', problem: error.code });
        await pause(waitAfter(error, attempt), over);
      }
    return undefined;
  }

  /** Undefined when the code is good for nothing any more; rejects when the next one would fare no better. */
  private async wait({ token, expiresIn }: Offer, over: AbortSignal): Promise<Paired | undefined> {
    const body = { token, deviceName: this.deviceName };
    const until = performance.now() + expiresIn;
    for (let attempt = 0; !over.aborted && performance.now() < until; attempt++)
      try {
        const request = { body, signal: over, timeout: expiresIn + MARGIN_MS };
        return (await call<{ data: Paired }>(this.url, '/api/auth/wait-pairing', request)).data;
      } catch (error) {
        if (error instanceof ClientError && OVER.has(error.code)) return undefined;
        if (!isPassing(error)) throw error;
        await pause(waitAfter(error, attempt), over);
      }
    return undefined;
  }

  private show(state: PairingState): void {
    if (this.stopping.signal.aborted) return;
    this.state = state;
    this.emitter.emit('state', state);
  }
}

function linkOf(url: string, qrData: string): string {
  const address = new URL('/', url);
  const bytes = new TextEncoder().encode(qrData);
  const base64 = btoa(String.fromCharCode(...bytes));
  address.hash = `pair=${base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`;
  return address.href;
}
