import { STATE, type FirstValue } from '@pairline/protocol';
import { Keyring } from '../keys/index.js';
import { deleteDevice, listDevices, unlessGone } from '../members.js';
import type { SavedKeyring } from '../keys/keyring.js';
import { tellOfMember } from '../sync.js';
import { ClientError } from '../types.js';
import { ask, signedIn, type Host } from './host.js';

// The keys of an account without a phone: its first device makes them, once.

/**
 * Makes them where there are none and nothing that was sealed is there; answers whether there are any here then. One row, put
 * before anything is sealed, decides which of several devices is first.
 */
export async function found(host: Host): Promise<boolean> {
  const { session, members } = signedIn(host);
  if (members !== undefined) return true;
  const { accountId, deviceId } = session;
  const mayFound = await host.store.read(async (tx) => {
    // Begun, and perhaps announced already.
    if ((await tx.value('founding')) !== undefined) return true;
    const sync = await tx.value('sync');
    // A phone that has not made any cannot read what is sealed.
    const hasPhone = (await tx.all('devices')).some(({ kind }) => kind === 'phone');
    const isOther = (await tx.value('keyring')) !== undefined;
    return sync !== undefined && sync.snapshot === undefined && !sync.sealed && !hasPhone && !isOther;
  });
  if (!mayFound) return false;
  return host.store.exclusive('founding', async () => {
    const drafted = await host.store.read((tx) => tx.value('founding'));
    const isOurs = drafted?.accountId === accountId && drafted.deviceId === deviceId;
    const keyring = isOurs ? Keyring.load(drafted) : await Keyring.create(accountId, deviceId);
    // Kept before it is announced: an account must not be told of keys that nobody has.
    if (!isOurs) await host.store.write((tx) => tx.set('founding', keyring.save()));
    const isFirst = await announce(host, keyring, true);
    await settle(host, isFirst ? keyring.save() : undefined);
    return isFirst;
  });
}

/** New keys, and no other device any more. What was sealed before stays so. */
export async function startOver(host: Host): Promise<void> {
  const { session, members } = signedIn(host);
  if (members !== undefined && !members.keyring.isLeftOut)
    throw new ClientError('bad_request', 'The keys of this account are on this device');
  const devices = await listDevices(host.url, session.token, undefined);
  for (const { id } of devices) if (id !== session.deviceId) await deleteDevice(host.url, session.token, id);
  const keyring = await Keyring.create(session.accountId, session.deviceId);
  await host.store.write((tx) => tx.set('founding', keyring.save()));
  // Rows of the old keys would stand in the way of the new ones.
  const states = await host.store.read((tx) => tx.all('states'));
  const old = states.map(({ id }) => id).filter((id) => id.startsWith('e2e/') && id !== STATE.first);
  for (const key of old) await host.request('state:delete', { key }).catch(unlessGone);
  await announce(host, keyring, false);
  await host.store.write(async (tx) => {
    await tx.delete('states', old);
    await tx.set('published', undefined);
  });
  await settle(host, keyring.save());
}

/** False when another device was first. */
async function announce(host: Host, keyring: Keyring, ifAbsent: boolean): Promise<boolean> {
  const { deviceId: by, key } = keyring.member();
  const value: FirstValue = { by, key };
  try {
    await host.request('state:put', { key: STATE.first, value, ...(ifAbsent && { ifAbsent }) });
    return true;
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== 'state_exists') throw error;
    // An earlier try may have got through without its answer.
    const { sessionData } = await ask<{ sessionData: Record<string, unknown> }>(host, '/api/session');
    return (sessionData[STATE.first] as Partial<FirstValue> | undefined)?.key === key;
  }
}

async function settle(host: Host, saved: SavedKeyring | undefined): Promise<void> {
  await host.store.write(async (tx) => {
    await tx.set('founding', undefined);
    if (saved === undefined) return;
    await tx.set('keyring', saved);
    await tellOfMember(tx, Keyring.load(saved));
  });
  if (saved !== undefined) await host.reload();
}
