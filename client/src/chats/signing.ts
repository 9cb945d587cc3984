import { fromBase64url, toBase64url, utf8, type Bytes } from '../keys/bytes.js';

// Ed25519 (RFC 8032) of the platform: browsers have it since Chrome 137, Firefox 129 and Safari 17.

type Key = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

const ED25519 = 'Ed25519';
/** What stands before the 32 bytes of a private key in PKCS #8 (RFC 8410). */
const PKCS8 = Uint8Array.from([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]);
const KEYS = 1000;

const publicKeys = new Map<string, Promise<Key>>();

/** Keys of 32 bytes, base64url. */
export async function newSigner(): Promise<{ privateKey: string; publicKey: string }> {
  const { privateKey, publicKey } = (await crypto.subtle.generateKey(ED25519, true, ['sign', 'verify'])) as Record<
    'privateKey' | 'publicKey',
    Key
  >;
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', privateKey));
  return {
    privateKey: toBase64url(pkcs8.subarray(PKCS8.length)),
    publicKey: toBase64url(new Uint8Array(await crypto.subtle.exportKey('raw', publicKey))),
  };
}

export async function sign(privateKey: string, text: string): Promise<string> {
  const pkcs8 = new Uint8Array([...PKCS8, ...bytesOf(privateKey)]);
  const key = await crypto.subtle.importKey('pkcs8', pkcs8, ED25519, false, ['sign']);
  return toBase64url(new Uint8Array(await crypto.subtle.sign(ED25519, key, utf8(text))));
}

export async function verifies(publicKey: string, text: string, signature: unknown): Promise<boolean> {
  const bytes = typeof signature === 'string' ? fromBase64url(signature) : undefined;
  if (bytes === undefined) return false;
  if (publicKeys.size >= KEYS) publicKeys.clear();
  const key =
    publicKeys.get(publicKey) ?? crypto.subtle.importKey('raw', bytesOf(publicKey), ED25519, false, ['verify']);
  publicKeys.set(publicKey, key);
  try {
    return await crypto.subtle.verify(ED25519, await key, bytes, utf8(text));
  } catch {
    // 32 bytes that are no point of the curve: nobody signs with them.
    return false;
  }
}

function bytesOf(key: string): Bytes {
  return fromBase64url(key)!;
}
