import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { expect, test } from '@jest/globals';
import { STATE, type EpochValue, type PairingCode } from '@pairline/protocol';
import fc from 'fast-check';
import {
  epochOf,
  Keyring,
  newCode,
  newDevice,
  readCode,
  serverPart,
  supersedes,
  type SavedKeyring,
} from '../client/src/keys/index.js';
import { hpkeSeal, sealEnvelope } from '../protocol/vectors/reference.js';

// What a server that lies, a device that was removed and a stranger can try against the keys of an account.

const OFFER = { token: 'the-token', timestamp: 1_760_000_000_000, expiresIn: 300_000, url: 'https://relay.example' };
/** A point of small order: nothing can be sealed to it. */
const NO_POINT = Buffer.alloc(32).toString('base64url');
const TAMPERED = { ok: false, fault: 'tampered' };

const phone = () => Keyring.create('account', 'phone');

async function show() {
  const device = await newDevice();
  return { device, ...newCode(JSON.stringify(OFFER), device) };
}

/** Pairs a browser, let in by `host`, without telling other devices. */
async function letIn(host: Keyring, deviceId: string): Promise<Keyring> {
  const { device, code, text } = await show();
  const sealed = await host.handOver(readCode(text));
  const joined = await Keyring.accept(sealed, code, device, { accountId: host.accountId, deviceId });
  expect(host.admit(joined.member())).toBe(true);
  return joined;
}

/** The row by which a device tells the others of itself. */
async function memberRow(keyring: Keyring, value: unknown = keyring.member(), deviceId = keyring.deviceId) {
  const key = STATE.member(deviceId);
  return { key, value: await keyring.seal('state', key, value) };
}

/** A phone with two browsers, all of whom know each other. */
async function household() {
  const host = await phone();
  const desk = await letIn(host, 'desk');
  const lost = await letIn(host, 'lost');
  desk.admit(lost.member());
  return { host, desk, lost };
}

const copy = (keyring: Keyring, changes: Partial<SavedKeyring> = {}) =>
  Keyring.load({ ...(JSON.parse(JSON.stringify(keyring.save())) as SavedKeyring), ...changes });

function flip(bytes: Buffer, bit: number): Buffer {
  const flipped = Buffer.from(bytes);
  flipped[bit >> 3]! ^= 1 << (bit & 7);
  return flipped;
}

// Envelopes

test('any JSON value opens as it was sealed, and every seal of it is another envelope', async () => {
  const keys = await phone();
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), fc.string({ unit: 'binary' }), async (value, id) => {
      const [one, two] = [await keys.seal('message', id, value), await keys.seal('message', id, value)];
      expect(one).not.toBe(two);
      expect(await keys.open('message', id, one)).toEqual({
        ok: true,
        value: JSON.parse(JSON.stringify(value)) as unknown,
        epoch: 1,
      });
    }),
  );
});

test('an envelope with any character changed, added or missing is refused', async () => {
  const keys = await phone();
  const envelope = fc.tuple(fc.jsonValue(), fc.nat(), fc.string({ maxLength: 3, unit: 'binary-ascii' }), fc.nat(2));
  await fc.assert(
    fc.asyncProperty(envelope, async ([value, place, inserted, removed]) => {
      const good = await keys.seal('message', 'id', value);
      const at = place % (good.length + 1);
      const changed = good.slice(0, at) + inserted + good.slice(at + removed);
      fc.pre(changed !== good);
      expect((await keys.open('message', 'id', changed)).ok).toBe(false);
    }),
    { numRuns: 500 },
  );
});

test('an envelope with any one bit flipped is refused', async () => {
  const keys = await phone();
  const bytes = Buffer.from((await keys.seal('message', 'id', 'Hello')).slice('pl1.1.'.length), 'base64url');
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    expect(await keys.open('message', 'id', `pl1.1.${flip(bytes, bit).toString('base64url')}`)).toEqual(TAMPERED);
  }
});

test('an envelope cut off anywhere is refused', async () => {
  const keys = await phone();
  const envelope = await keys.seal('message', 'id', 'Hello');
  for (let length = 0; length < envelope.length; length++) {
    expect((await keys.open('message', 'id', envelope.slice(0, length))).ok).toBe(false);
  }
});

test('an envelope opens as no other row, no other kind and in no other account', async () => {
  const keys = await phone();
  const other = copy(keys, { accountId: 'another' });
  const envelope = await keys.seal('message', '1', 'Hello');
  expect((await keys.open('message', '1', envelope)).ok).toBe(true);
  expect(await keys.open('message', '2', envelope)).toEqual(TAMPERED);
  expect(await keys.open('conversation', '1', envelope)).toEqual(TAMPERED);
  expect(await keys.open('state', '1', envelope)).toEqual(TAMPERED);
  expect(await other.open('message', '1', envelope)).toEqual(TAMPERED);
});

test('what is no envelope at all is refused without a throw', async () => {
  const keys = await phone();
  const fault = async (value: unknown) => {
    const opened = await keys.open('message', 'id', value);
    return opened.ok ? undefined : opened.fault;
  };
  for (const clear of ['', 'Hello', 'pl1', 'PL1.1.AAAA', null, undefined, 7, {}, ['pl1.1.AAAA']]) {
    expect([clear, await fault(clear)]).toEqual([clear, 'not-sealed']);
  }
  const broken = ['pl1.', 'pl1..', 'pl1.1', 'pl1.1.', 'pl1.0.AAAA', 'pl1.-1.AAAA', 'pl1.1e1.AAAA', 'pl1.01.AAAA', 'pl1.1.A', 'pl1.1.=', 'pl1.1.é', 'pl1.9999999999.AAAA', 'pl1. 1.AAAA', 'pl1.__proto__.AAAA']; // prettier-ignore
  for (const text of broken) expect([text, await fault(text)]).toEqual([text, 'tampered']);
  expect(await fault(`pl1.1.${'A'.repeat(4_000_000)}`)).toBe('tampered');
  expect(await fault('pl1.2.AAAA')).toBe('no-key');
});

test('a text of a million characters makes the round', async () => {
  const keys = await phone();
  const text = '☎'.repeat(1_000_000);
  expect(await keys.open('message', 'id', await keys.seal('message', 'id', text))).toEqual({
    ok: true,
    value: text,
    epoch: 1,
  });
});

test('what JSON cannot say is not sealed', async () => {
  await expect((await phone()).seal('message', 'id', undefined)).rejects.toThrow(TypeError);
});

test('an envelope that is passed off as another epoch does not open', async () => {
  const { host } = await household();
  (await host.rotate('lost')).commit();
  const envelope = await host.seal('message', 'id', 'Hello');
  expect(epochOf(envelope)).toBe(2);
  expect(await host.open('message', 'id', envelope.replace('pl1.2.', 'pl1.1.'))).toEqual(TAMPERED);
});

test('an older version that the server plays again opens, and does not take the place of the newer one', async () => {
  const keys = await phone();
  const held = { epoch: 1, version: 8 };
  const replayed = await keys.open<{ version: number }>(
    'conversation',
    '3',
    await keys.seal('conversation', '3', { number: '1', version: 7 }),
  );
  expect(replayed.ok && supersedes({ epoch: replayed.epoch, version: replayed.value.version }, held)).toBe(false);
  expect(supersedes(held, held)).toBe(false);
  expect(supersedes({ epoch: 1, version: 9 }, held)).toBe(true);
  expect(supersedes(held, undefined)).toBe(true);
});

test('a version that only an older key vouches for does not take the place of a newer key, however high it is', () => {
  expect(supersedes({ epoch: 1, version: Number.MAX_SAFE_INTEGER }, { epoch: 2, version: 1 })).toBe(false);
  expect(supersedes({ epoch: 2, version: 1 }, { epoch: 1, version: Number.MAX_SAFE_INTEGER })).toBe(true);
});

test('an alias is the same on every device and in every epoch, and another one in another account', async () => {
  const { host, desk } = await household();
  const alias = await host.alias('+15550100');
  expect(alias).toMatch(/^~[0-9a-f]{32}$/);
  expect(await desk.alias('+15550100')).toBe(alias);
  (await host.rotate('lost')).commit();
  expect(await host.alias('+15550100')).toBe(alias);
  expect(await host.alias('+15550101')).not.toBe(alias);
  expect(await (await phone()).alias('+15550100')).not.toBe(alias);
});

// Pairing

test('of a code, the server is given the token alone', async () => {
  const { code, link } = await show();
  expect(code.key).toHaveLength(43);
  expect(code.secret).toHaveLength(43);
  expect(JSON.parse(serverPart(code))).toEqual({ token: 'the-token' });
  const address = new URL(link('https://relay.example/?lang=en'));
  address.hash = '';
  expect(address.href).toBe('https://relay.example/?lang=en');
});

test('a key and a secret that the server puts into its offer are not shown', async () => {
  const device = await newDevice();
  const theirs = (await show()).code;
  const { code } = newCode(JSON.stringify({ ...OFFER, key: theirs.key, secret: theirs.secret, more: 1 }), device);
  expect(code).toEqual({ ...OFFER, key: device.publicKey, secret: code.secret });
  expect(code.secret).not.toBe(theirs.secret);
  for (const offer of ['', 'null', '[]', '{}', JSON.stringify({ ...OFFER, url: 'javascript:alert(1)' })]) {
    expect(() => newCode(offer, device)).toThrow(expect.objectContaining({ code: 'wrong_server' }));
  }
});

test('the text and the link of a code read the same, wherever the link was broken over lines', async () => {
  const { code, text, link } = await show();
  expect(readCode(text)).toEqual(code);
  const address = link('https://relay.example/');
  expect(readCode(` ${address.slice(0, 60)}\n  ${address.slice(60)}\r\n`)).toEqual(code);
  expect(readCode(JSON.stringify({ ...OFFER, extra: true }))).toEqual(OFFER);
});

test('what is no code is refused with a sentence that says why', async () => {
  const { code, link } = await show();
  const address = link('https://relay.example/');
  const reason = (text: string) => {
    try {
      return readCode(text);
    } catch (error) {
      expect(error).toMatchObject({ name: 'ClientError', code: 'bad_code' });
      return (error as Error).message;
    }
  };
  expect(reason('  ')).toMatch(/empty/);
  expect(reason('x'.repeat(5000))).toMatch(/too long/);
  expect(reason('hello')).toMatch(/not a pairing code/);
  expect(reason('null')).toMatch(/not a pairing code/);
  expect(reason('{}')).toMatch(/no token/);
  expect(reason('https://relay.example/')).toMatch(/no pairing code in it/);
  expect(reason(address.slice(0, -10))).toMatch(/cut off/);
  expect(reason(address.replace('#pair=', '#pair=*'))).toMatch(/cut off/);
  expect(reason(JSON.stringify({ ...code, url: 'file:///etc/passwd' }))).toMatch(/where the server is/);
  expect(reason(JSON.stringify({ ...code, expiresIn: '5' }))).toMatch(/how long/);
  expect(reason(JSON.stringify({ ...code, key: undefined }))).toMatch(/damaged/);
  expect(reason(JSON.stringify({ ...code, secret: `${code.secret!.slice(0, -1)}é` }))).toMatch(/damaged/);
});

test('a browser that a phone lets in reads what there is, and writes what the phone reads', async () => {
  const host = await phone();
  const old = await host.seal('message', '1', 'before');
  const desk = await letIn(host, 'desk');
  expect(await desk.open('message', '1', old)).toMatchObject({ ok: true, value: 'before' });
  expect(await host.open('message', '2', await desk.seal('message', '2', 'hi'))).toMatchObject({
    ok: true,
    value: 'hi',
  });
  expect(desk.members()).toEqual(host.members());
});

test('a browser lets another one in while the phone is away, and the phone learns of it', async () => {
  const host = await phone();
  const desk = await letIn(host, 'desk');
  const sofa = await letIn(desk, 'sofa');
  const { key, value } = await memberRow(sofa);
  expect(await host.learn(key, value)).toBe('learned');
  expect(await host.learn(key, value)).toBe('ignored');
  expect(host.members()).toEqual(sofa.members());
  expect(await host.open('message', '1', await sofa.seal('message', '1', 'hi'))).toMatchObject({ ok: true });
});

test('keys that were sealed for somebody else, or by who did not read the code, are not taken', async () => {
  const host = await phone();
  const { device, code } = await show();
  const thief = await newDevice();
  const { secret } = (await show()).code;
  const accept = (sealed: string, into: PairingCode = code) =>
    Keyring.accept(sealed, into, device, { accountId: 'account', deviceId: 'desk' });

  const refused = { code: 'no_keys' };
  await expect(accept(await host.handOver({ ...code, key: thief.publicKey }))).rejects.toMatchObject(refused);
  await expect(accept(await host.handOver({ ...code, secret }))).rejects.toMatchObject(refused);
  await expect(accept(await host.handOver({ ...code, token: 'another' }))).rejects.toMatchObject(refused);
  const account = copy(host, { accountId: 'another' });
  await expect(accept(await account.handOver(code))).rejects.toMatchObject(refused);
  for (const sealed of ['', 'hpke1.', 'hpke1.AA.AA', 'hpke2.AA.AA']) {
    await expect(accept(sealed)).rejects.toMatchObject(refused);
  }
  expect((await accept(await host.handOver(code))).epoch).toBe(1);
});

test('who swaps the key in a code gets nothing that the secret does not open', async () => {
  const host = await phone();
  const thief = await newDevice();
  const { code } = await show();
  const sealed = await host.handOver({ ...code, key: thief.publicKey });
  const { secret } = (await show()).code;
  const open = Keyring.accept(sealed, { ...code, secret }, thief, { accountId: 'account', deviceId: 'thief' });
  await expect(open).rejects.toMatchObject({ code: 'no_keys' });
});

test('handed over keys with any one byte changed are not taken', async () => {
  const host = await phone();
  const { device, code } = await show();
  const [prefix, ...parts] = (await host.handOver(code)).split('.');
  for (const [index, part] of parts.entries()) {
    const bytes = Buffer.from(part, 'base64url');
    for (let at = 0; at < bytes.length; at++) {
      const changed = parts.with(index, flip(bytes, 8 * at + (at % 8)).toString('base64url'));
      const open = Keyring.accept([prefix, ...changed].join('.'), code, device, {
        accountId: 'account',
        deviceId: 'desk',
      });
      await expect(open).rejects.toMatchObject({ code: 'no_keys' });
    }
  }
});

test('a browser that the server calls by the id of another device does not join', async () => {
  const host = await phone();
  const { device, code } = await show();
  const sealed = await host.handOver(code);
  const open = Keyring.accept(sealed, code, device, { accountId: 'account', deviceId: 'phone' });
  await expect(open).rejects.toMatchObject({ code: 'no_keys' });
  expect(host.admit({ deviceId: 'phone', key: device.publicKey })).toBe(false);
  expect(host.admit({ deviceId: 'twin', key: host.member().key })).toBe(false);
  expect(host.admit({ deviceId: 'desk', key: 'short' })).toBe(false);
  expect(host.members()).toHaveLength(1);
});

test('no keys are handed to a code without a key, or with one that is none', async () => {
  const host = await phone();
  const { code } = await show();
  await expect(host.handOver(OFFER)).rejects.toMatchObject({ code: 'bad_code' });
  await expect(host.handOver({ ...code, key: NO_POINT })).rejects.toMatchObject({ code: 'bad_code' });
});

// Members

test('only who has the current key can add a device, and only under its own name', async () => {
  const { host, desk } = await household();
  const stranger = await Keyring.create('account', 'stranger');
  const learn = (row: { key: string; value: unknown }) => host.learn(row.key, row.value);

  expect(await learn(await memberRow(stranger))).toBe('refused');
  expect(await learn({ key: STATE.member('stranger'), value: stranger.member() })).toBe('refused');
  expect(await learn(await memberRow(desk, stranger.member()))).toBe('refused');
  expect(await learn(await memberRow(desk, { deviceId: 'desk', key: stranger.member().key }))).toBe('refused');
  expect(await learn(await memberRow(desk, { deviceId: 'twin', key: desk.member().key }, 'twin'))).toBe('refused');
  for (const value of [null, 1, {}, { deviceId: 'x' }, { deviceId: 'x', key: 'AA' }]) {
    expect(await learn(await memberRow(desk, value, 'x'))).toBe('refused');
  }
  expect(await learn({ key: STATE.flags('3'), value: 'anything' })).toBe('ignored');
  expect(host.members()).toHaveLength(3);
});

test('a removed device cannot add one under the key that it still has', async () => {
  const { host, lost } = await household();
  const friend = await letIn(lost, 'friend');
  (await host.rotate('lost')).commit();
  const { key, value } = await memberRow(friend);
  expect(await host.learn(key, value)).toBe('ignored');
  expect(host.members().map((it) => it.deviceId)).toEqual(['phone', 'desk']);
});

test('devices that a removed one made up go with it when the server does not list them', async () => {
  const { host, lost } = await household();
  const { key, value } = await memberRow(lost, { deviceId: 'sleeper', key: (await newDevice()).publicKey }, 'sleeper');
  expect(await host.learn(key, value)).toBe('learned');
  const rotation = await host.rotate('lost', ['desk', 'lost', 'somebody without keys']);
  expect(Object.keys(rotation.value.keys)).toEqual(['phone', 'desk']);
});

test('a device with a key to which nothing can be sealed does not keep the others from removing it', async () => {
  const { host, desk, lost } = await household();
  const { key, value } = await memberRow(lost, { deviceId: 'wedge', key: NO_POINT }, 'wedge');
  expect(await host.learn(key, value)).toBe('learned');
  const rotation = await host.rotate('lost');
  expect(Object.keys(rotation.value.keys)).toEqual(['phone', 'desk']);
  expect(await desk.learn(rotation.key, rotation.value)).toBe('learned');
});

// Epochs

test('after a device was removed the others go on, and it reads nothing new', async () => {
  const { host, desk, lost } = await household();
  const before = await host.seal('message', '1', 'before');
  const { key, value, commit } = await host.rotate('lost');
  expect(host.epoch).toBe(1);
  commit();
  expect(host.epoch).toBe(2);
  const after = await host.seal('message', '2', 'after');

  expect(await desk.open('message', '2', after)).toEqual({ ok: false, fault: 'no-key' });
  expect(await desk.learn(key, value)).toBe('learned');
  expect(await desk.open('message', '2', after)).toEqual({ ok: true, value: 'after', epoch: 2 });
  expect(await desk.open('message', '1', before)).toEqual({ ok: true, value: 'before', epoch: 1 });
  expect(desk.members()).toEqual(host.members());

  expect(await lost.learn(key, value)).toBe('left-out');
  expect(await lost.open('message', '2', after)).toEqual({ ok: false, fault: 'no-key' });
  expect(JSON.stringify(value)).not.toContain(lost.member().key);
});

test('what a removed device writes with its old key says so', async () => {
  const { host, lost } = await household();
  (await host.rotate('lost')).commit();
  const opened = await host.open('message', '9', await lost.seal('message', '9', 'send this'));
  expect(opened.ok && opened.epoch < host.epoch).toBe(true);
});

test('a removed device cannot make the next epoch', async () => {
  const { host, desk, lost } = await household();
  const removal = await host.rotate('lost');
  removal.commit();
  await desk.learn(removal.key, removal.value);

  const own = await lost.rotate('nobody');
  own.commit();
  const forged = await lost.rotate('nobody');
  expect(Object.keys(forged.value.keys)).toEqual(['phone', 'desk', 'lost']);
  expect(forged.key).toBe(STATE.epoch(3));
  for (const device of [host, desk]) {
    expect(await device.learn(own.key, own.value)).toBe('ignored');
    expect(await device.learn(forged.key, forged.value)).toBe('refused');
    expect(await device.learn(forged.key, { ...forged.value, by: 'phone' })).toBe('refused');
    expect(device.epoch).toBe(2);
  }
});

test('a stranger or the server cannot make an epoch, nor put one together from others', async () => {
  const { host, desk, lost } = await household();
  const stranger = await Keyring.create('account', 'desk');
  stranger.admit(host.member());
  const made = await stranger.rotate('nobody');
  expect(await host.learn(made.key, made.value)).toBe('refused');

  const [good, other] = [await host.rotate('lost'), await host.rotate('lost')];
  const { keys, members, by } = good.value;
  const forgeries: unknown[] = [
    null,
    [],
    'pl1.2.AAAA',
    {},
    { by, keys },
    { by, members },
    { by: 'nobody', keys, members },
    { by: 'lost', keys, members },
    { by: 'desk', keys: {}, members },
    { by, keys: { ...keys, desk: keys['phone'] }, members },
    { by, keys: { ...keys, desk: `${keys['desk']}A` }, members },
    { by, keys: { ...keys, desk: 7 }, members },
    { by, keys, members: other.value.members },
    { by, keys: other.value.keys, members },
    { by, keys, members: '' },
    { by, keys, members: await host.seal('state', good.key, { epoch: 2, members: host.members() }) },
  ];
  for (const [index, value] of forgeries.entries()) {
    expect([index, await desk.learn(good.key, value)]).toEqual([index, 'refused']);
  }
  expect(desk.save()).toEqual(copy(desk).save());
  expect(desk.epoch).toBe(1);
  expect(await desk.learn(good.key, good.value)).toBe('learned');

  // The row of one epoch in the place of another.
  for (const key of [STATE.epoch(3), 'e2e/epoch/03', 'e2e/epoch/', 'e2e/epoch/x']) {
    expect(await desk.learn(key, good.value)).not.toBe('learned');
  }
  expect(await lost.learn(STATE.epoch(2), good.value)).toBe('left-out');
  expect(desk.epoch).toBe(2);
});

test('a member cannot list another key for a device than the one that is known', async () => {
  const { host, desk } = await household();
  const liar = copy(host, { members: [...host.members().filter((it) => it.deviceId !== 'desk')] });
  const { publicKey } = await newDevice();
  liar.admit({ deviceId: 'desk', key: publicKey });
  const { key, value } = await liar.rotate('lost');
  const honest = await host.rotate('lost');
  const mixed: EpochValue = { ...value, keys: { ...value.keys, desk: honest.value.keys['desk']! } };
  expect(await desk.learn(key, value)).toBe('refused');
  expect(await desk.learn(key, mixed)).toBe('refused');
});

test('an epoch whose list does not say what its keys say is refused', async () => {
  const { host, desk } = await household();
  const bytes = (text: string) => Buffer.from(text, 'base64url');
  const [key, epochKey] = [STATE.epoch(2), randomBytes(32)];
  const [phoneMember, deskMember] = [host.member(), desk.member()];
  const make = (members: unknown, { epoch = 2, label = 2 } = {}): EpochValue => {
    const use = { info: 'pairline/1 epoch', aad: key };
    const sender = bytes(host.save().device.privateKey);
    const row = { accountId: 'account', kind: 'state', id: key };
    return {
      by: 'phone',
      keys: { desk: hpkeSeal(bytes(deskMember.key), randomBytes(32), use, epochKey, sender) },
      members: sealEnvelope(label, epochKey, row, randomBytes(12), JSON.stringify({ epoch, members })),
    };
  };

  const other = (await newDevice()).publicKey;
  const lists: EpochValue[] = [
    make([phoneMember, deskMember], { epoch: 3 }),
    make([phoneMember, deskMember], { label: 3 }),
    make([phoneMember]),
    make([deskMember]),
    make([phoneMember, { ...deskMember, key: other }]),
    make([{ ...phoneMember, key: other }, deskMember]),
    make([phoneMember, deskMember, { deviceId: 'twin', key: deskMember.key }]),
    make([phoneMember, deskMember, { deviceId: 'desk', key: other }]),
    make([phoneMember, deskMember, { deviceId: 'x', key: 'short' }]),
    make('phone, desk'),
  ];
  for (const [index, value] of lists.entries()) {
    expect([index, await desk.learn(key, value)]).toEqual([index, 'refused']);
  }
  expect(await desk.learn(key, make([phoneMember, deskMember]))).toBe('learned');
});

test('of two removals at once one stands, and the other is made again after it', async () => {
  const { host, desk, lost } = await household();
  const sofa = await letIn(host, 'sofa');
  desk.admit(sofa.member());
  const [first, second] = [await host.rotate('lost'), await desk.rotate('sofa')];
  expect(second.key).toBe(first.key);

  // The server took the first; the second was answered `state_exists`.
  first.commit();
  expect(await desk.learn(first.key, first.value)).toBe('learned');
  second.commit();
  expect(desk.save().epochs).toEqual(host.save().epochs);

  const again = await desk.rotate('sofa');
  expect(again.key).toBe(STATE.epoch(3));
  again.commit();
  expect(await host.learn(again.key, again.value)).toBe('learned');
  expect(host.members()).toEqual(desk.members());
  expect(host.members().map((it) => it.deviceId)).toEqual(['phone', 'desk']);
  expect(host.save().epochs).toEqual(desk.save().epochs);
  expect(await lost.learn(first.key, first.value)).toBe('left-out');
});

test("the row of a device's own removal may come before the answer to it, or after a restart", async () => {
  const { host } = await household();
  const restarted = copy(host);
  const { key, value, commit } = await host.rotate('lost');
  expect(await host.learn(key, value)).toBe('learned');
  commit();
  expect(host.epoch).toBe(2);
  expect(await host.learn(key, value)).toBe('ignored');
  expect(await restarted.learn(key, value)).toBe('learned');
  expect(restarted.save()).toEqual(host.save());
});

test('a device that was away follows several epochs in order, however fast they are given', async () => {
  const { host, desk } = await household();
  const rows: { key: string; value: unknown }[] = [];
  for (const deviceId of ['lost', 'x', 'y']) {
    const rotation = await host.rotate(deviceId);
    rotation.commit();
    rows.push(rotation);
  }
  const newcomer = await letIn(host, 'newcomer');
  rows.push(await memberRow(newcomer));

  expect(await desk.learn(rows[1]!.key, rows[1]!.value)).toBe('early');
  expect(await desk.learn(rows[3]!.key, rows[3]!.value)).toBe('early');
  const learned = await Promise.all(rows.map(({ key, value }) => desk.learn(key, value)));
  expect(learned).toEqual(['learned', 'learned', 'learned', 'learned']);
  expect(desk.members()).toEqual(host.members());
  expect(newcomer.save().epochs).toEqual(host.save().epochs);
});

test('a device does not make the epoch that leaves itself out', async () => {
  await expect((await phone()).rotate('phone')).rejects.toThrow(TypeError);
});

// Keys that come late

/** The desk removes a device while it does not know yet of one that the phone has let in. */
async function overlooked() {
  const { host, desk, lost } = await household();
  const joining = await letIn(host, 'joining');
  const rotation = await desk.rotate('lost');
  rotation.commit();
  return { host, desk, lost, joining, ...rotation };
}

test('a device that was not known to who made an epoch gets its key from whoever knew of it', async () => {
  const { host, desk, joining, key, value } = await overlooked();
  expect(await host.learn(key, value)).toBe('learned');
  expect(host.owed()).toEqual(['joining']);
  expect(await joining.learn(key, value)).toBe('left-out');
  expect(joining.isLeftOut).toBe(true);
  // Each of them may be restarted in between.
  const [payer, waiting] = [copy(host), copy(joining)];
  const [row, ...more] = await payer.lateKeys('joining');
  expect(more).toEqual([]);
  payer.paid('joining', row!.epoch);
  expect(payer.owed()).toEqual([]);
  expect(await waiting.learn(row!.key, row!.value)).toBe('joined');
  expect(waiting.isLeftOut).toBe(false);
  expect(waiting.save().epochs).toEqual(desk.save().epochs);
  const told = await memberRow(waiting);
  expect(await desk.learn(told.key, told.value)).toBe('learned');
  for (const device of [waiting, payer]) expect(new Set(device.members().map((it) => it.deviceId))).toEqual(new Set(['phone', 'desk', 'joining'])); // prettier-ignore
  // From now on it is in every epoch.
  const next = await desk.rotate('phone');
  expect(await waiting.learn(next.key, next.value)).toBe('learned');
});

test('a device that was let in with keys that were old by then gets the newer ones', async () => {
  const { host } = await household();
  const { device, code, text } = await show();
  const { epoch } = host;
  const sealed = await host.handOver(readCode(text));
  const rotations = [];
  for (const id of ['lost', 'desk']) {
    const rotation = await host.rotate(id);
    rotation.commit();
    rotations.push(rotation);
  }
  const joining = await Keyring.accept(sealed, code, device, { accountId: 'account', deviceId: 'joining' });
  expect(host.admit(joining.member(), epoch)).toBe(true);
  const rows = await host.lateKeys('joining');
  expect(await joining.learn(rotations[0]!.key, rotations[0]!.value)).toBe('left-out');
  expect(await joining.learn(rotations[1]!.key, rotations[1]!.value)).toBe('early');
  for (const { key, value } of rows) expect(await joining.learn(key, value)).toBe('joined');
  expect(joining.save().epochs).toEqual(host.save().epochs);
});

test('a device that was removed gets no key late, whoever knew of it', async () => {
  const { host, lost, key, value } = await overlooked();
  await host.learn(key, value);
  expect(host.owed()).not.toContain('lost');
  expect(await host.lateKeys('lost')).toEqual([]);
  expect(await lost.learn(key, value)).toBe('left-out');
});

test('nobody is taken back into an epoch that does not say whom it leaves out', async () => {
  const { host, desk } = await household();
  const { key, value } = JSON.parse(JSON.stringify(await unsaid(host, desk))) as { key: string; value: EpochValue };
  expect(await desk.learn(key, value)).toBe('learned');
  expect(desk.owed()).toEqual([]);
});

/** An epoch as it was made before epochs said so. */
async function unsaid(host: Keyring, desk: Keyring): Promise<{ key: string; value: EpochValue }> {
  const [key, epochKey] = [STATE.epoch(2), randomBytes(32)];
  const bytes = (text: string) => Buffer.from(text, 'base64url');
  const use = { info: 'pairline/1 epoch', aad: key };
  const { privateKey } = host.save().device;
  const list = JSON.stringify({ epoch: 2, members: [host.member(), desk.member()] });
  const row = { accountId: 'account', kind: 'state', id: key };
  const sealed = hpkeSeal(bytes(desk.member().key), randomBytes(32), use, epochKey, bytes(privateKey));
  return {
    key,
    value: { by: 'phone', keys: { desk: sealed }, members: sealEnvelope(2, epochKey, row, randomBytes(12), list) },
  };
}

test('no key is taken late that is not the one of the epoch, or not from a member of it', async () => {
  const { host, desk, lost, joining, key, value } = await overlooked();
  await host.learn(key, value);
  const [good] = await host.lateKeys('joining');
  // Before the epoch that it is for, and to whom it is not for, it says nothing.
  expect(await joining.learn(good!.key, good!.value)).toBe('ignored');
  expect(await joining.learn(key, value)).toBe('left-out');
  expect(await joining.learn(STATE.lateKey(2, 'desk'), good!.value)).toBe('ignored');
  expect(await joining.learn(STATE.lateKey(3, 'joining'), good!.value)).toBe('ignored');
  // Whoever was removed can make an epoch of its own, and hand that out.
  const other = copy(lost);
  (await other.rotate('nobody')).commit();
  other.admit(joining.member(), 1);
  const [fork] = await other.lateKeys('joining');
  const forgeries: unknown[] = [
    null,
    good!.value.key,
    { by: 'phone' },
    { key: good!.value.key },
    { by: 'nobody', key: good!.value.key },
    { by: 'desk', key: good!.value.key },
    { by: 'phone', key: value.keys['phone'] },
    fork!.value,
    { ...fork!.value, by: 'phone' },
  ];
  for (const [index, forged] of forgeries.entries())
    expect([index, await joining.learn(good!.key, forged)]).toEqual([index, 'refused']);
  expect([joining.epoch, joining.isLeftOut]).toEqual([1, true]);
  expect(await joining.learn(good!.key, good!.value)).toBe('joined');
  expect(joining.save().epochs).toEqual(desk.save().epochs);
});

// Safety words

test('two devices show the same safety words, and others when one of them has a wrong key of the other', async () => {
  const { host, desk, lost } = await household();
  const words = await host.safetyWords('desk');
  expect(words).toHaveLength(6);
  expect(await desk.safetyWords('phone')).toEqual(words);
  expect(await host.safetyWords('lost')).not.toEqual(words);
  expect(await lost.safetyWords('desk')).toEqual(await desk.safetyWords('lost'));
  const deceived = copy(host, { members: [{ deviceId: 'desk', key: (await newDevice()).publicKey }] });
  expect(await deceived.safetyWords('desk')).not.toEqual(words);
  expect(await copy(host, { accountId: 'another' }).safetyWords('desk')).not.toEqual(words);
  expect(await host.safetyWords('phone')).toBeUndefined();
  expect(await host.safetyWords('nobody')).toBeUndefined();
});

// Keeping

test('a keyring is the same after it was kept as JSON, whatever its devices are called', async () => {
  const host = await Keyring.create('account', '__proto__');
  const desk = await letIn(host, 'constructor');
  (await host.rotate('nobody')).commit();
  const kept = copy(host);
  expect(kept.save()).toEqual(host.save());
  expect(kept.epoch).toBe(2);
  expect(await kept.open('message', '1', await host.seal('message', '1', 'hi'))).toMatchObject({ ok: true });
  const { key, value } = await host.rotate('constructor');
  expect(Object.keys(value.keys)).toEqual(['__proto__']);
  expect(await desk.learn(STATE.epoch(2), value)).toBe('left-out');
  expect(await kept.learn(key, value)).toBe('learned');
});

test('a damaged keyring is not loaded', async () => {
  const good = (await phone()).save();
  const damaged: unknown[] = [
    { ...good, epochs: {} },
    { ...good, epochs: { 2: good.epochs[1] } },
    { ...good, epochs: { 1: 'short' } },
    { ...good, members: undefined },
    { ...good, members: [{ deviceId: 'a', key: good.device.publicKey.slice(1) }] },
    { ...good, device: { ...good.device, privateKey: '' } },
  ];
  for (const saved of damaged) {
    expect(() => Keyring.load(saved as SavedKeyring)).toThrow(expect.objectContaining({ code: 'no_keys' }));
  }
});

test('a keyring that ends up in a log shows no key', async () => {
  const host = await phone();
  const { device, epochs } = host.save();
  const logged = inspect(host, { depth: 9, showHidden: true }) + JSON.stringify(host);
  expect(logged).not.toContain(device.privateKey);
  expect(logged).not.toContain(epochs[1]);
});
