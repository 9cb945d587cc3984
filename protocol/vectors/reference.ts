import { createCipheriv, createDecipheriv, createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman, hkdfSync } from 'node:crypto'; // prettier-ignore
import { wordlist } from '@scure/bip39/wordlists/english.js';

// The formats of envelope.ts, pairing.ts and file.ts a second time, from their description alone and with nothing but node:crypto:
// to make the vectors, to check the client against, and to port from.

type Bytes = Uint8Array;

export const utf8 = (text: string): Buffer => Buffer.from(text, 'utf8');
const hmac = (key: Bytes, ...parts: Bytes[]): Buffer => createHmac('sha256', key).update(Buffer.concat(parts)).digest();
export const hkdf = (key: Bytes, info: string, salt: Bytes = Buffer.alloc(0)): Buffer =>
  Buffer.from(hkdfSync('sha256', key, salt, info, 32));

export function encrypt(key: Bytes, iv: Bytes, aad: Bytes, plaintext: Bytes): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(aad);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

export function decrypt(key: Bytes, iv: Bytes, aad: Bytes, sealed: Bytes): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, iv).setAAD(aad);
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
}

// Envelopes and aliases.

export interface Row {
  accountId: string;
  kind: string;
  id: string;
}

export const contentKey = (epochKey: Bytes): Buffer => hkdf(epochKey, 'pairline/1 content');
export const aad = ({ accountId, kind, id }: Row): string => `pairline/1|${accountId}|${kind}|${id}`;

export function sealEnvelope(epoch: number, epochKey: Bytes, row: Row, iv: Bytes, plaintext: string): string {
  const sealed = encrypt(contentKey(epochKey), iv, utf8(aad(row)), utf8(plaintext));
  return `pl1.${epoch}.${Buffer.concat([iv, sealed]).toString('base64url')}`;
}

/** Throws for what was not sealed as this row. */
export function openEnvelope(epochKey: Bytes, row: Row, envelope: string): string {
  const bytes = Buffer.from(envelope.split('.')[2]!, 'base64url');
  return decrypt(contentKey(epochKey), bytes.subarray(0, 12), utf8(aad(row)), bytes.subarray(12)).toString('utf8');
}

/** `key`: of epoch 1. */
export function alias(key: Bytes, number: string): string {
  return `~${hmac(hkdf(key, 'pairline/1 alias'), utf8(number)).subarray(0, 16).toString('hex')}`;
}

export function safetyWords(whose: string, keys: [string, string], count: number): string[] {
  const text = ['pairline/1 safety', whose, ...keys.sort()].join('|');
  const bits = Array.from(createHash('sha256').update(text).digest(), (byte) => byte.toString(2).padStart(8, '0')).join(
    '',
  );
  return Array.from({ length: count }, (_, index) => wordlist[parseInt(bits.slice(11 * index, 11 * index + 11), 2)]!);
}

// Files.

const CHUNK = 65_536;
const SEALED_CHUNK = CHUNK + 16;

export const fileHeader = (salt: Bytes): Buffer => Buffer.concat([Buffer.from([1]), salt]);
export const fileContentKey = (fileKey: Bytes, salt: Bytes): Buffer => hkdf(fileKey, 'pairline/1 file', salt);

export function fileNonce(chunk: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(BigInt(chunk), 3);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

export function sealFileChunk(fileKey: Bytes, salt: Bytes, chunk: number, last: boolean, plaintext: Bytes): Buffer {
  return encrypt(fileContentKey(fileKey, salt), fileNonce(chunk, last), fileHeader(salt), plaintext);
}

export function sealFile(fileKey: Bytes, salt: Bytes, plaintext: Bytes): Buffer {
  const parts = [fileHeader(salt)];
  for (let at = 0; at === 0 || at < plaintext.length; at += CHUNK) {
    const last = at + CHUNK >= plaintext.length;
    parts.push(sealFileChunk(fileKey, salt, at / CHUNK, last, plaintext.subarray(at, at + CHUNK)));
  }
  return Buffer.concat(parts);
}

/** Throws for what is not, as a whole, what `sealFile` made with this key. */
export function openFile(fileKey: Bytes, file: Bytes): Buffer {
  const [header, chunks] = [file.subarray(0, 17), file.subarray(17)];
  if (header[0] !== 1) throw new Error('Not a file of version 1');
  const key = fileContentKey(fileKey, header.subarray(1));
  const parts = [];
  for (let at = 0; at === 0 || at < chunks.length; at += SEALED_CHUNK) {
    const last = at + SEALED_CHUNK >= chunks.length;
    parts.push(decrypt(key, fileNonce(at / SEALED_CHUNK, last), header, chunks.subarray(at, at + SEALED_CHUNK)));
  }
  return Buffer.concat(parts);
}

// HPKE, RFC 9180: DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001, AES-256-GCM 0x0002; modes PSK and auth.

export interface Hpke {
  info: string;
  aad: string;
  psk?: { id: string; key: Bytes };
}

const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI = Buffer.from('302a300506032b656e032100', 'hex');
const NONE = Buffer.alloc(0);

const privateKey = (raw: Bytes) => createPrivateKey({ key: Buffer.concat([PKCS8, raw]), format: 'der', type: 'pkcs8' });
const publicKey = (raw: Bytes) => createPublicKey({ key: Buffer.concat([SPKI, raw]), format: 'der', type: 'spki' });
const dh = (ours: Bytes, theirs: Bytes): Buffer =>
  diffieHellman({ privateKey: privateKey(ours), publicKey: publicKey(theirs) });

export function publicOf(raw: Bytes): Buffer {
  return createPublicKey(privateKey(raw)).export({ format: 'der', type: 'spki' }).subarray(-32);
}

const KEM = Buffer.concat([utf8('KEM'), Buffer.from([0x00, 0x20])]);
const SUITE = Buffer.concat([utf8('HPKE'), Buffer.from([0x00, 0x20, 0x00, 0x01, 0x00, 0x02])]);

/** RFC 9180, section 4. */
const extract = (suite: Bytes, salt: Bytes, label: string, ikm: Bytes): Buffer =>
  hmac(salt, utf8('HPKE-v1'), suite, utf8(label), ikm);
const expand = (suite: Bytes, key: Bytes, label: string, info: Bytes, length: number): Buffer =>
  hmac(key, Buffer.from([0, length]), utf8('HPKE-v1'), suite, utf8(label), info, Buffer.from([1])).subarray(0, length);

/** Sections 4.1 and 5.1: the key and nonce of the first and only message. */
function schedule(
  secrets: Bytes[],
  kemContext: Bytes[],
  { info, psk }: Hpke,
  auth: boolean,
): { key: Buffer; iv: Buffer } {
  const prk = extract(KEM, NONE, 'eae_prk', Buffer.concat(secrets));
  const shared = expand(KEM, prk, 'shared_secret', Buffer.concat(kemContext), 32);
  const mode = (psk ? 1 : 0) + (auth ? 2 : 0);
  const idHash = extract(SUITE, NONE, 'psk_id_hash', utf8(psk?.id ?? ''));
  const infoHash = extract(SUITE, NONE, 'info_hash', utf8(info));
  const context = Buffer.concat([Buffer.from([mode]), idHash, infoHash]);
  const secret = extract(SUITE, shared, 'secret', psk?.key ?? NONE);
  return { key: expand(SUITE, secret, 'key', context, 32), iv: expand(SUITE, secret, 'base_nonce', context, 12) };
}

/** `ephemeral`: a fresh private key, except where the result has to be the same every time. With `sender`, mode auth. */
export function hpkeSeal(to: Bytes, ephemeral: Bytes, use: Hpke, plaintext: Bytes, sender?: Bytes): string {
  const enc = publicOf(ephemeral);
  const secrets = [dh(ephemeral, to), ...(sender ? [dh(sender, to)] : [])];
  const { key, iv } = schedule(secrets, [enc, to, ...(sender ? [publicOf(sender)] : [])], use, sender !== undefined);
  return `hpke1.${enc.toString('base64url')}.${encrypt(key, iv, utf8(use.aad), plaintext).toString('base64url')}`;
}

/** `sender`: the public key of who sealed it, in mode auth. Throws for anything else. */
export function hpkeOpen(sealed: string, device: Bytes, use: Hpke, sender?: Bytes): Buffer {
  const [, enc, ciphertext] = sealed.split('.').map((part) => Buffer.from(part, 'base64url'));
  const secrets = [dh(device, enc!), ...(sender ? [dh(device, sender)] : [])];
  const { key, iv } = schedule(
    secrets,
    [enc!, publicOf(device), ...(sender ? [sender] : [])],
    use,
    sender !== undefined,
  );
  return decrypt(key, iv, utf8(use.aad), ciphertext!);
}

// The vectors. Every "random" value is the SHA-256 of a name.

export const fixed = (name: string): Buffer => createHash('sha256').update(`pairline vectors|${name}`).digest();
export const text = (bytes: Bytes): string => Buffer.from(bytes).toString('base64url');

const ACCOUNT = '0191d3c4-6f2e-7b1a-9c55-3f0a7d1e2b40';
const EPOCHS = [fixed('epoch 1'), fixed('epoch 2'), fixed('epoch 3')];

function device(deviceId: string) {
  const secret = fixed(`device ${deviceId}`);
  return { deviceId, secret, privateKey: text(secret), publicKey: text(publicOf(secret)) };
}
type Device = ReturnType<typeof device>;
const PHONE = device('phone-1');
const DESK = device('5a3b8c1e-desk');
const LOST = device('9f2d4e7a-lost');
const NEW = device('c07e15b2-new');

const member = ({ deviceId, publicKey }: Device) => ({ deviceId, key: publicKey });
const saved = (it: Device, epochs: number, members: Device[]) => ({
  accountId: ACCOUNT,
  deviceId: it.deviceId,
  device: { privateKey: it.privateKey, publicKey: it.publicKey },
  epochs: Object.fromEntries(EPOCHS.slice(0, epochs).map((key, index) => [String(index + 1), text(key)])),
  members: members.map(member),
});

function envelopes() {
  const message = {
    number: '+15550100',
    text: 'See you at 6 👋\nBring “it”.',
    type: 'received',
    timestamp: 1760000000000,
  };
  const rows: [string, number, string, string, unknown][] = [
    ['a message', 1, 'message', 'sms-42', { ...message, conversationId: '3' }],
    ['a message under a later epoch, its id not ASCII', 3, 'message', 'é|☎|2', { ...message, type: 'sent' }],
    ['a conversation', 2, 'conversation', '3', { number: '+15550100', name: 'Zoë', version: 1760000000001 }],
    ['flags', 2, 'state', 'e2e/flags/3', { pinned: true, version: 1760000000002 }],
    ['an empty text', 1, 'message', '', { ...message, text: '' }],
  ];
  const opened = rows.map(([name, epoch, kind, id, value]) => {
    const row = { accountId: ACCOUNT, kind, id };
    const epochKey = EPOCHS[epoch - 1]!;
    const iv = fixed(name).subarray(0, 12);
    const plaintext = JSON.stringify(value);
    return {
      name,
      ...row,
      epoch,
      epochKey: text(epochKey),
      contentKey: text(contentKey(epochKey)),
      aad: aad(row),
      iv: text(iv),
      plaintext,
      envelope: sealEnvelope(epoch, epochKey, row, iv, plaintext),
    };
  });
  const { kind, id, envelope } = opened[0]!;
  const whole = (it: string) => Buffer.from(it.slice('pl1.1.'.length), 'base64url');
  const altered = Buffer.from(whole(envelope));
  altered[20]! ^= 1;
  const refused = [
    { name: 'another id', fault: 'tampered', kind, id: 'sms-43', envelope },
    { name: 'another kind', fault: 'tampered', kind: 'conversation', id, envelope },
    { name: 'another epoch', fault: 'tampered', kind, id, envelope: envelope.replace('pl1.1.', 'pl1.2.') },
    {
      name: 'an epoch whose key is not here',
      fault: 'no-key',
      kind,
      id,
      envelope: envelope.replace('pl1.1.', 'pl1.4.'),
    },
    { name: 'a bit altered', fault: 'tampered', kind, id, envelope: `pl1.1.${altered.toString('base64url')}` },
    { name: 'cut off', fault: 'tampered', kind, id, envelope: `pl1.1.${text(whole(envelope).subarray(0, 27))}` },
    { name: 'padded', fault: 'tampered', kind, id, envelope: `${envelope}=` },
    {
      name: 'the epoch with a zero before it',
      fault: 'tampered',
      kind,
      id,
      envelope: envelope.replace('pl1.1.', 'pl1.01.'),
    },
    { name: 'in the clear', fault: 'not-sealed', kind, id, envelope: message.text },
  ];
  return { keyring: saved(PHONE, 3, [PHONE]), opened, refused };
}

function aliases() {
  const numbers = ['+15550100', '+491701234567', 'Pizza Service', '12345', ''];
  return {
    epochKey: text(EPOCHS[0]!),
    aliasKey: text(hkdf(EPOCHS[0]!, 'pairline/1 alias')),
    aliases: numbers.map((number) => ({ number, alias: alias(EPOCHS[0]!, number) })),
  };
}

function handover() {
  const token = 'b6f0e1d2-4c3b-4a59-8e7d-0f1a2b3c4d5e';
  const secret = fixed('secret');
  const url = 'https://pairline.example';
  const code = { token, timestamp: 1760000000000, expiresIn: 300_000, url, key: NEW.publicKey, secret: text(secret) };
  const members = [PHONE, DESK];
  const { epochs } = saved(PHONE, 2, members);
  const plaintext = JSON.stringify({ accountId: ACCOUNT, epochs, members: members.map(member), by: PHONE.deviceId });
  const ephemeral = fixed('handover');
  const use = { info: 'pairline/1 pairing', aad: token, psk: { id: 'pairline/1 pairing', key: secret } };
  return {
    code,
    link: `${url}/#pair=${text(utf8(JSON.stringify(code)))}`,
    serverPart: JSON.stringify({ token }),
    device: { privateKey: NEW.privateKey, publicKey: NEW.publicKey },
    ephemeralPrivateKey: text(ephemeral),
    plaintext,
    sealed: hpkeSeal(publicOf(NEW.secret), ephemeral, use, utf8(plaintext)),
    keyring: saved(NEW, 2, [PHONE, DESK, NEW]),
  };
}

function epoch() {
  const key = 'e2e/epoch/3';
  const use = { info: 'pairline/1 epoch', aad: key };
  const stay = [PHONE, DESK];
  const ephemeralPrivateKeys = Object.fromEntries(
    stay.map((it) => [it.deviceId, text(fixed(`${key} ${it.deviceId}`))]),
  );
  const plaintext = JSON.stringify({ epoch: 3, members: stay.map(member) });
  const iv = fixed('members').subarray(0, 12);
  const keys = stay.map((it): [string, string] => {
    const ephemeral = fixed(`${key} ${it.deviceId}`);
    return [it.deviceId, hpkeSeal(publicOf(it.secret), ephemeral, use, EPOCHS[2]!, PHONE.secret)];
  });
  const before = [PHONE, DESK, LOST];
  return {
    before: { desk: saved(DESK, 2, before), lost: saved(LOST, 2, before) },
    epochKey: text(EPOCHS[2]!),
    ephemeralPrivateKeys,
    membersPlaintext: plaintext,
    membersIv: text(iv),
    key,
    value: {
      by: PHONE.deviceId,
      keys: Object.fromEntries(keys),
      members: sealEnvelope(3, EPOCHS[2]!, { accountId: ACCOUNT, kind: 'state', id: key }, iv, plaintext),
    },
    after: saved(DESK, 3, stay),
  };
}

function safety() {
  const pairs: [Device, Device][] = [[PHONE, DESK], [PHONE, LOST], [DESK, LOST]]; // prettier-ignore
  return {
    accountId: ACCOUNT,
    pairs: pairs.map(([one, other]) => {
      const keys: [string, string] = [one.publicKey, other.publicKey];
      return { keys, words: safetyWords(ACCOUNT, keys, 6) };
    }),
  };
}

/** The bytes of a vector's file: byte i is i mod 251. */
export const counted = (size: number): Buffer => Buffer.from(Uint8Array.from({ length: size }, (_, i) => i % 251));

function files() {
  const salt = fixed('salt').subarray(0, 16);
  const fileKey = fixed('file');
  const sizes: [string, number][] = [
    ['an empty file: one chunk of nothing', 0],
    ['one byte', 1],
    ['a short file', 40],
    ['a whole chunk, which is the last', CHUNK],
    ['a byte more', CHUNK + 1],
    ['two whole chunks and a half', 2.5 * CHUNK],
  ];
  return {
    fileKey: text(fileKey),
    salt: text(salt),
    header: text(fileHeader(salt)),
    contentKey: text(fileContentKey(fileKey, salt)),
    nonces: [
      { chunk: 0, last: false },
      { chunk: 0, last: true },
      { chunk: 258, last: false },
      { chunk: 4_294_967_296, last: true },
    ].map((it) => ({ ...it, nonce: fileNonce(it.chunk, it.last).toString('hex') })),
    // Byte i of each file is i mod 251. Of the long ones there is the digest alone.
    files: sizes.map(([name, size]) => {
      const sealed = sealFile(fileKey, salt, counted(size));
      const sha256 = createHash('sha256').update(sealed).digest('hex');
      return { name, size, sealedSize: sealed.length, sha256, ...(size < 100 ? { sealed: text(sealed) } : {}) };
    }),
  };
}

/** The contents of the files beside this one, by name. */
export function makeVectors() {
  return {
    envelope: envelopes(),
    alias: aliases(),
    handover: handover(),
    epoch: epoch(),
    safety: safety(),
    file: files(),
  };
}
