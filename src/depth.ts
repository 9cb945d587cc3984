/** Deep enough for whatever the wire needs by itself. */
export const MAX_DEPTH = 8;

/** Whether there are objects or lists in each other, more than `left` of them. */
export function isTooDeep(value: unknown, left = MAX_DEPTH): boolean {
  // Bytes have no depth, and a key for each of them would take seconds.
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  if (left === 0) return true;
  if (Array.isArray(value)) return value.some((item) => isTooDeep(item, left - 1));
  for (const key in value) if (isTooDeep((value as Record<string, unknown>)[key], left - 1)) return true;
  return false;
}
