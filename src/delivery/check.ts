import type { TSchema } from '@sinclair/typebox';
import { TypeCompiler, ValueErrorType, type ValueError } from '@sinclair/typebox/compiler';
import { relayError, type ErrorCode } from '../errors.js';

const MAX_DEPTH = 8;

const CODES: Partial<Record<ValueErrorType, ErrorCode>> = {
  [ValueErrorType.ArrayMaxItems]: 'batch_too_large',
  [ValueErrorType.StringMaxLength]: 'string_too_long',
  [ValueErrorType.StringFormat]: 'invalid_string',
};

/** Compiles a schema once; the check throws an error of the catalogue that names the field, never its value. */
export function compileCheck(schema: TSchema): (value: unknown) => void {
  const compiled = TypeCompiler.Compile(schema);
  return (value) => {
    if (isTooDeep(value)) throw relayError('nesting_too_deep');
    if (compiled.Check(value)) return;
    // A value over a bound is told as such, whatever else is wrong with it.
    let first: ValueError | undefined;
    for (const error of compiled.Errors(value)) {
      first ??= error;
      if (CODES[error.type] !== undefined) {
        first = error;
        break;
      }
    }
    const detail = first?.path ? first.path.slice(1).replaceAll('/', '.') : undefined;
    throw relayError(CODES[first?.type ?? ValueErrorType.Object] ?? 'invalid_payload', {
      detail: detail?.slice(0, 100),
    });
  };
}

export function isTooDeep(value: unknown, left = MAX_DEPTH): boolean {
  // Bytes have no depth, and a key for each of them would take seconds.
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  if (left === 0) return true;
  if (Array.isArray(value)) return value.some((item) => isTooDeep(item, left - 1));
  for (const key in value) if (isTooDeep((value as Record<string, unknown>)[key], left - 1)) return true;
  return false;
}
