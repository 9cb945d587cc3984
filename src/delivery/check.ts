import type { TSchema } from '@sinclair/typebox';
import { TypeCompiler, ValueErrorType, type ValueError } from '@sinclair/typebox/compiler';
import { isTooDeep, MAX_DEPTH } from '../depth.js';
import { relayError, type ErrorCode } from '../errors.js';

const CODES: Partial<Record<ValueErrorType, ErrorCode>> = {
  [ValueErrorType.ArrayMaxItems]: 'batch_too_large',
  [ValueErrorType.StringMaxLength]: 'string_too_long',
  [ValueErrorType.StringFormat]: 'invalid_string',
};

/** Compiles a schema once; the check throws an error of the catalogue that names the field, never its value. */
export function compileCheck(schema: TSchema, depth = MAX_DEPTH): (value: unknown) => void {
  const compiled = TypeCompiler.Compile(schema);
  return (value) => {
    if (isTooDeep(value, depth)) throw relayError('nesting_too_deep');
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
