import { HPKE_PREFIX } from '@pairline/protocol';
import { loadPart } from '../part.js';
import { fromBase64url, keyBytes, toBase64url, utf8, type Bytes } from './bytes.js';

// HPKE (RFC 9180) as pairing.ts and envelope.ts of the protocol use it, with keys and results as text.

/** Loaded when a device joins or leaves: a page that just shows texts does without. */
const load = () => loadPart(() => import('./suite.js')).then(({ suite }) => suite);

const ENC_BYTES = 32;
const SEALED = new RegExp(`^${HPKE_PREFIX.replace('.', '\\.')}([\\w-]+)\\.([\\w-]+)$`);

/** The X25519 keys of a device, 32 bytes each, base64url. */
export interface DeviceKeys {
  privateKey: string;
  publicKey: string;
}

/** A fresh key pair. Each pairing makes its own, so a key never says that two devices are one. */
export async function newDevice(): Promise<DeviceKeys> {
  const suite = await load();
  const pair = await suite.kem.generateKeyPair();
  return {
    privateKey: toBase64url(new Uint8Array(await suite.kem.serializePrivateKey(pair.privateKey))),
    publicKey: toBase64url(new Uint8Array(await suite.kem.serializePublicKey(pair.publicKey))),
  };
}

interface Purpose {
  info: string;
  aad: string;
  /** Mode PSK: both sides hold the secret. */
  psk?: { id: string; key: Bytes };
}

/** Seals to a device; with `sender` in mode auth. Undefined for a public key that is none. */
export async function sealTo(
  publicKey: string,
  plaintext: Bytes,
  { info, aad, psk }: Purpose,
  sender?: DeviceKeys,
): Promise<string | undefined> {
  const suite = await load();
  const senderKey = sender && (await pairOf(sender));
  try {
    const { enc, ct } = await suite.seal(
      {
        recipientPublicKey: await publicKeyOf(publicKey),
        info: utf8(info),
        ...(psk && { psk: { id: utf8(psk.id), key: psk.key } }),
        ...(senderKey && { senderKey }),
      },
      plaintext,
      utf8(aad),
    );
    return `${HPKE_PREFIX}${toBase64url(new Uint8Array(enc))}.${toBase64url(new Uint8Array(ct))}`;
  } catch {
    // The library's errors for a point that is none, or of small order. That it could not be loaded is told above.
    return undefined;
  }
}

/** Opens what `sealTo` sealed; `sender` is the public key of who must have. Undefined for anything else. */
export async function openFrom(
  sealed: unknown,
  device: DeviceKeys,
  { info, aad, psk }: Purpose,
  sender?: string,
): Promise<Bytes | undefined> {
  const parts = typeof sealed === 'string' ? SEALED.exec(sealed) : null;
  const enc = parts && fromBase64url(parts[1]!);
  const ciphertext = parts && fromBase64url(parts[2]!);
  if (!enc || !ciphertext || enc.length !== ENC_BYTES) return undefined;
  const suite = await load();
  const recipientKey = await pairOf(device);
  const senderPublicKey = sender === undefined ? undefined : await publicKeyOf(sender);
  try {
    const plaintext = await suite.open(
      {
        recipientKey,
        enc,
        info: utf8(info),
        ...(psk && { psk: { id: utf8(psk.id), key: psk.key } }),
        ...(senderPublicKey && { senderPublicKey }),
      },
      ciphertext,
      utf8(aad),
    );
    return new Uint8Array(plaintext);
  } catch {
    // The library's errors (a bad point, a bad tag) all say the same: this was not sealed to us by them.
    return undefined;
  }
}

async function publicKeyOf(text: string) {
  return (await load()).kem.deserializePublicKey(bytesOf(text));
}

async function pairOf({ privateKey, publicKey }: DeviceKeys) {
  return {
    privateKey: await (await load()).kem.deserializePrivateKey(bytesOf(privateKey)),
    publicKey: await publicKeyOf(publicKey),
  };
}

function bytesOf(key: string): Bytes {
  const bytes = keyBytes(key);
  if (bytes === undefined) throw new TypeError('Not an X25519 key');
  return bytes;
}
