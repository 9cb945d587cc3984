import { relayError } from '../errors.js';
import type { SignInDevice } from '../sessions/devices.service.js';

const MAX_BYTES = 16_384;
const ID = /^\P{Cc}{1,128}$/u;
const MAX_NAME = 200;
const MAX_TYPE = 64;

/**
 * What a device says of itself when it signs in: `{deviceId?|id?, name?, type?, …}`, anything else being its metadata; null and absent are `{}`
 * (wire.md, section B: `deviceInfo`). At most 16 KiB as JSON; throws `bad_request`, `payload_too_large`.
 */
export function readDeviceInfo(given: unknown): SignInDevice {
  const info = given ?? {};
  if (typeof info !== 'object' || Array.isArray(info)) throw unfit('deviceInfo must be an object');
  if (Buffer.byteLength(JSON.stringify(info)) > MAX_BYTES)
    throw relayError('payload_too_large', { detail: `deviceInfo may have ${MAX_BYTES} bytes` });
  const { deviceId, id, name, type, ...metadata } = info as Record<string, unknown>;
  const known = deviceId ?? id;
  return {
    ...(known == null ? {} : { id: idOf(known) }),
    name: textOf('name', name, MAX_NAME) || 'Browser',
    ...(type == null ? {} : { type: textOf('type', type, MAX_TYPE) }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  };
}

function idOf(id: unknown): string {
  if (typeof id !== 'string' || !id.isWellFormed() || !ID.test(id))
    throw unfit('deviceInfo.deviceId must be a text of 1 to 128 printable characters');
  return id;
}

function textOf(field: string, value: unknown, most: number): string {
  if (value == null) return '';
  if (typeof value !== 'string' || value.length > most)
    throw unfit(`deviceInfo.${field} must be a text of at most ${most} characters`);
  return value;
}

function unfit(detail: string) {
  return relayError('bad_request', { detail });
}
