import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import type { Handover } from '@pairline/protocol';
import { Keyring, newCode, newDevice, readCode, serverPart, type SealedKind } from '../client/src/keys/index.js';
import * as reference from '../protocol/vectors/reference.js';

// The files in protocol/vectors are what other languages are written against. The client has to agree with them, and with
// a second implementation that shares no code with it, in both directions.

type Vectors = ReturnType<typeof reference.makeVectors>;

async function read<Name extends keyof Vectors>(name: Name): Promise<Vectors[Name]> {
  const file = new URL(`../protocol/vectors/${name}.json`, import.meta.url);
  return JSON.parse(await readFile(file, 'utf8')) as Vectors[Name];
}

const bytes = (text: string) => Buffer.from(text, 'base64url');

test('the files say what the second implementation makes', async () => {
  const made = JSON.parse(JSON.stringify(reference.makeVectors())) as Vectors;
  for (const name of Object.keys(made) as (keyof Vectors)[]) expect(await read(name)).toEqual(made[name]);
});

test('the client opens the envelopes of the vectors, and refuses the others for the reason that they give', async () => {
  const { keyring, opened, refused } = await read('envelope');
  const keys = Keyring.load(keyring);
  for (const { name, kind, id, epoch, plaintext, envelope } of opened) {
    const value: unknown = JSON.parse(plaintext);
    expect([name, await keys.open(kind as SealedKind, id, envelope)]).toEqual([name, { ok: true, value, epoch }]);
  }
  for (const { name, kind, id, envelope, fault } of refused) {
    expect([name, await keys.open(kind as SealedKind, id, envelope)]).toEqual([name, { ok: false, fault }]);
  }
});

test('the second implementation opens what the client seals', async () => {
  const keys = Keyring.load((await read('envelope')).keyring);
  const row = { accountId: keys.accountId, kind: 'message', id: 'sms|7 ☎' };
  const envelope = await keys.seal('message', row.id, { text: 'Ünïcode 👋', at: 1.5, none: null });
  expect(envelope).toMatch(/^pl1\.3\.[\w-]+$/);
  const plaintext = reference.openEnvelope(bytes(keys.save().epochs[3]!), row, envelope);
  expect(JSON.parse(plaintext)).toEqual({ text: 'Ünïcode 👋', at: 1.5, none: null });
});

test('the client gives numbers the aliases of the vectors', async () => {
  const keys = Keyring.load((await read('envelope')).keyring);
  const { aliases } = await read('alias');
  expect(aliases.length).toBeGreaterThan(3);
  for (const { number, alias } of aliases) expect([number, await keys.alias(number)]).toEqual([number, alias]);
});

test('the client reads the code of the vectors, in both forms, and takes the keys that were handed over for it', async () => {
  const { code, link, serverPart: forServer, device, sealed, keyring } = await read('handover');
  expect(readCode(JSON.stringify(code))).toEqual(code);
  expect(readCode(link)).toEqual(code);
  expect(serverPart(code)).toBe(forServer);
  const accepted = await Keyring.accept(sealed, code, device, keyring);
  expect(accepted.save()).toEqual(keyring);
});

test('the second implementation opens what the client hands over', async () => {
  const device = await newDevice();
  const offer = { token: 'a-token', timestamp: 1, expiresIn: 300_000, url: 'http://localhost:3000' };
  const { code } = newCode(JSON.stringify(offer), device);
  const { keyring } = await read('handover');
  const sealed = await Keyring.load(keyring).handOver(code);
  const use = {
    info: 'pairline/1 pairing',
    aad: 'a-token',
    psk: { id: 'pairline/1 pairing', key: bytes(code.secret!) },
  };
  const handover = JSON.parse(reference.hpkeOpen(sealed, bytes(device.privateKey), use).toString('utf8')) as Handover;
  const { accountId, epochs, members, deviceId } = keyring;
  expect(handover).toEqual({ accountId, epochs, members, by: deviceId });
});

test('the client enters the epoch of the vectors, and the device that it leaves out does not', async () => {
  const { before, key, value, after } = await read('epoch');
  const desk = Keyring.load(before.desk);
  expect(await desk.learn(key, value)).toBe('learned');
  expect(desk.save()).toEqual(after);
  const lost = Keyring.load(before.lost);
  expect(await lost.learn(key, value)).toBe('left-out');
  // No key is new; only that it cannot follow there is remembered.
  expect(lost.save()).toEqual({ ...before.lost, refused: 3, ahead: [value] });
});

test('the second implementation opens an epoch that the client makes', async () => {
  const { before } = await read('epoch');
  const desk = Keyring.load(before.desk);
  const { key, value, commit } = await desk.rotate('9f2d4e7a-lost');
  expect(Object.keys(value.keys).sort()).toEqual(['5a3b8c1e-desk', 'phone-1']);
  commit();
  const use = { info: 'pairline/1 epoch', aad: key };
  const phone = (await read('envelope')).keyring.device.privateKey;
  const sender = bytes(before.desk.device.publicKey);
  const epochKey = reference.hpkeOpen(value.keys['phone-1']!, bytes(phone), use, sender);
  expect(epochKey.toString('base64url')).toBe(desk.save().epochs[3]);
  const row = { accountId: desk.accountId, kind: 'state', id: key };
  const members = desk.save().members;
  expect(JSON.parse(reference.openEnvelope(epochKey, row, value.members))).toEqual({
    epoch: 3,
    members,
    without: ['9f2d4e7a-lost'],
  });
});

test('the client shows the safety words of the vectors, whichever of the two devices asks', async () => {
  const { accountId, pairs } = await read('safety');
  expect(pairs.length).toBeGreaterThan(1);
  for (const { keys, words } of pairs) {
    for (const [mine, theirs] of [keys, [...keys].reverse()] as [string, string][]) {
      const keyring = Keyring.load({
        accountId,
        deviceId: 'mine',
        device: { privateKey: mine, publicKey: mine },
        epochs: { 1: mine },
        members: [{ deviceId: 'theirs', key: theirs }],
      });
      expect(await keyring.safetyWords('theirs')).toEqual(words);
    }
  }
});
