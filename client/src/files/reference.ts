import type { FileReference } from '@pairline/protocol';
import { keyBytes } from '../keys/bytes.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Characters that hide what a name says, or lead it elsewhere. */
const UNFIT = /[\p{Cc}\p{Bidi_Control}\p{Surrogate}/\\]/gu;
const MAX_NAME = 255;
const TYPE = /^[\w.+-]{1,127}\/[\w.+-]{1,127}$/;
export const UNKNOWN_TYPE = 'application/octet-stream';
const THUMBNAIL = /^data:image\/(?:jpeg|png|webp);base64,[A-Za-z0-9+/]+={0,2}$/;
const MAX_THUMBNAIL = 20_000;

/**
 * A reference as somebody else sent it; undefined for what is none. Its name is one to save under, and its thumbnail one to
 * show; what is odd about them is left out.
 */
export function readFileReference(value: unknown): FileReference | undefined {
  const { id, key, name, type, size, thumbnail, width, height } = (value ?? {}) as Partial<
    Record<keyof FileReference, unknown>
  >;
  if (typeof id !== 'string' || !UUID.test(id) || typeof key !== 'string' || keyBytes(key) === undefined)
    return undefined;
  if (!Number.isSafeInteger(size) || (size as number) < 0) return undefined;
  return {
    id,
    key,
    name: plainName(name),
    type: plainType(type),
    size: size as number,
    ...(typeof thumbnail === 'string' && thumbnail.length <= MAX_THUMBNAIL && THUMBNAIL.test(thumbnail)
      ? { thumbnail }
      : {}),
    ...(isLength(width) && isLength(height) ? { width, height } : {}),
  };
}

/** A name that is one in a folder, and says what it is. */
export function plainName(name: unknown): string {
  const plain = typeof name === 'string' ? name.replace(UNFIT, '_').trim().slice(0, MAX_NAME) : '';
  return /^\.*$/.test(plain) ? 'file' : plain;
}

/** Without what may stand behind it, such as a charset. */
export function plainType(type: unknown): string {
  const plain = typeof type === 'string' ? type.split(';')[0]!.trim().toLowerCase() : '';
  return TYPE.test(plain) ? plain : UNKNOWN_TYPE;
}

function isLength(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
