import { FILE_CHUNK_BYTES, FILE_INFO, FILE_SALT_BYTES, FILE_TAG_BYTES, FILE_VERSION, KEY_BYTES } from '@pairline/protocol'; // prettier-ignore
import { utf8, type Bytes } from '../keys/bytes.js';
import { ClientError } from '../types.js';

// The format of encrypted files (protocol/src/file.ts): where what is, and one chunk at a time.

export const HEADER_BYTES = 1 + FILE_SALT_BYTES;
/** What a whole chunk takes. */
export const SEALED_CHUNK_BYTES = FILE_CHUNK_BYTES + FILE_TAG_BYTES;
const NONCE_BYTES = 12;

type Key = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** How many chunks a file of so many bytes has. */
export function chunksOf(size: number): number {
  return Math.max(1, Math.ceil(size / FILE_CHUNK_BYTES));
}

/** How many bytes a file of so many takes when it is encrypted. */
export function sealedSize(size: number): number {
  return HEADER_BYTES + size + chunksOf(size) * FILE_TAG_BYTES;
}

/** How many bytes a file may have that takes no more than so many when it is encrypted. */
export function largestSize(sealed: number): number {
  const chunks = Math.max(0, sealed - HEADER_BYTES);
  const whole = Math.floor(chunks / SEALED_CHUNK_BYTES);
  return whole * FILE_CHUNK_BYTES + Math.max(0, (chunks % SEALED_CHUNK_BYTES) - FILE_TAG_BYTES);
}

/** The first byte of a chunk in an encrypted file. */
export function placeOf(chunk: number): number {
  return HEADER_BYTES + chunk * SEALED_CHUNK_BYTES;
}

/** The chunk that a byte of an encrypted file is in; those of the header count to the first. */
export function chunkAt(place: number): number {
  return Math.max(0, Math.floor((place - HEADER_BYTES) / SEALED_CHUNK_BYTES));
}

export function headerOf(salt: Bytes): Bytes {
  return Uint8Array.of(FILE_VERSION, ...salt);
}

/** One file's key. The same chunk is the same bytes each time, so what broke off can go on from anywhere. */
export class FileCipher {
  private constructor(
    private readonly key: Key,
    readonly header: Bytes,
    /** Bytes of the file. */
    readonly size: number,
  ) {}

  /** Rejects with `damaged_file` for a header that is none. */
  static async of(fileKey: Bytes, header: Bytes, size: number): Promise<FileCipher> {
    if (header.length !== HEADER_BYTES || header[0] !== FILE_VERSION) throw damaged();
    const base = await crypto.subtle.importKey('raw', fileKey, 'HKDF', false, ['deriveKey']);
    const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: header.subarray(1), info: utf8(FILE_INFO) };
    const aes = { name: 'AES-GCM', length: 8 * KEY_BYTES };
    const key = await crypto.subtle.deriveKey(hkdf, base, aes, false, ['encrypt', 'decrypt']);
    return new FileCipher(key, header, size);
  }

  get chunks(): number {
    return chunksOf(this.size);
  }

  /** Bytes of a chunk before it is encrypted. */
  lengthOf(chunk: number): number {
    return Math.min(FILE_CHUNK_BYTES, this.size - chunk * FILE_CHUNK_BYTES);
  }

  async seal(chunk: number, plaintext: Bytes): Promise<Bytes> {
    return new Uint8Array(await crypto.subtle.encrypt(this.algorithm(chunk), this.key, plaintext));
  }

  /** Rejects with `damaged_file` for anything but what `seal` made of this chunk of this file. */
  async open(chunk: number, sealed: Bytes): Promise<Bytes> {
    try {
      return new Uint8Array(await crypto.subtle.decrypt(this.algorithm(chunk), this.key, sealed));
    } catch {
      throw damaged();
    }
  }

  private algorithm(chunk: number) {
    const iv = new Uint8Array(NONCE_BYTES);
    new DataView(iv.buffer).setBigUint64(NONCE_BYTES - 9, BigInt(chunk));
    iv[NONCE_BYTES - 1] = chunk === this.chunks - 1 ? 1 : 0;
    return { name: 'AES-GCM', iv, additionalData: this.header };
  }
}

export function damaged(): ClientError {
  return new ClientError('damaged_file', 'The file was changed on the way, or is not whole');
}
