import type { Store } from '@pairline/client';
import { expect } from '@jest/globals';
import { io } from 'socket.io-client';
import { later } from './database.js';

/** Speaks in the name of a phone, without its keys: what it tells is in the clear, as from the phones of other makers. */
export async function phoneThatTells(url: string, store: Store) {
  const { deviceId, deviceToken } = (await store.read((tx) => tx.value('phone')))!;
  const socket = io(url, { transports: ['websocket'], forceNew: true });
  later(() => socket.disconnect());
  const tell = async (event: string, payload: object) =>
    expect(await socket.timeout(10_000).emitWithAck(event, payload)).toMatchObject({ ok: true });
  await tell('mobile:register', { deviceId, deviceName: 'Ann’s phone', deviceToken });
  return { tell };
}
