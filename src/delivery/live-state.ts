import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Slots } from '../sessions/slots.js';
import { States, type StateFact } from '../sync/state.service.js';
import { Connections } from './connections.js';
import { encodeText, type Frame } from './frame.js';
import type { Peer } from './peer.js';

/** How many connections of one account are sent all of it at once: each holds a copy until it has read it. */
const RESTORES_AT_ONCE = 4;

/** Session state as wire.md's section B tells it: all of it after each connect, then each value as it is written. */
@Injectable()
export class LiveState implements OnModuleInit {
  private readonly restores = new Slots(RESTORES_AT_ONCE);

  constructor(
    private readonly connections: Connections,
    private readonly states: States,
  ) {}

  onModuleInit(): void {
    this.states.events.on('state.written', (account, fact) => this.tell(account, fact));
  }

  /**
   * Sends `session-restored`, before anything else that this connection gets; a value written meanwhile may be in it, and
   * is told again after it. Throws `session_expired`, or what the database has to say.
   */
  restore(peer: Peer): Promise<void> {
    const { account, deviceId } = peer.session!;
    const send = async () => {
      if (!peer.isOpen) return; // it left while it waited
      const sessionData = await this.states.all(account);
      const restored = `{"sessionData":${sessionData},"deviceId":${JSON.stringify(deviceId)}}`;
      await peer.sendNow(encodeText('session-restored', restored));
    };
    return peer.whileHeld(() => this.restores.take(account.id, send));
  }

  /** To the writer's own connections too: it is how they know that it is stored. */
  private tell(account: string, { key, json, deviceId, at }: StateFact): void {
    let frame: Frame | undefined;
    for (const browser of this.connections.of(account).browsers) {
      if (!browser.isLive) continue;
      frame ??= encodeText(
        'session-updated',
        `{"sessionKey":${JSON.stringify(key)},"state":${json},"deviceId":${JSON.stringify(deviceId)},"timestamp":${at}}`,
      );
      browser.send(frame);
    }
  }
}
