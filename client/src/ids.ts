let last = 0;
let count = 0;

/**
 * A UUID (RFC 9562, version 7) that sorts behind those made here before: of messages with the same time the one written
 * first stays first.
 */
export function newId(): string {
  const now = Math.max(Date.now(), last);
  count = now === last ? count + 1 : 0;
  // The counter has 12 bits; what does not fit borrows the next millisecond.
  last = count > 0xfff ? now + 1 : now;
  count &= 0xfff;
  const time = last.toString(16).padStart(12, '0');
  const random = crypto.getRandomValues(new Uint8Array(8));
  random[0] = (random[0]! & 0x3f) | 0x80;
  const tail = Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const hex = `${time}7${count.toString(16).padStart(3, '0')}${tail}`;
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
