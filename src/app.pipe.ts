import { ValidationPipe, type ArgumentMetadata, type ValidationError } from '@nestjs/common';
import { isTooDeep } from './depth.js';
import { relayError } from './errors.js';

/** Bodies, queries and parameters as the DTOs that handlers ask for; what does not fit is refused. */
export class Dtos extends ValidationPipe {
  constructor() {
    super({ transform: true, whitelist: true, exceptionFactory: notValid });
  }

  override transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (metadata.type !== 'custom') {
      // class-transformer walks what no DTO names too: level by level on the stack, and calling what `constructor` holds.
      if (isTooDeep(value)) throw relayError('nesting_too_deep');
      if (holdsConstructor(value)) throw relayError('bad_request');
      // Postgres cannot store NUL, nor look it up.
      if (metadata.type === 'param' && String(value).includes('\0')) throw relayError('invalid_string');
    }
    return super.transform(value, metadata);
  }
}

function notValid(errors: ValidationError[]) {
  const [first] = errors;
  return relayError('bad_request', { detail: Object.values(first?.constraints ?? {})[0] });
}

function holdsConstructor(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.hasOwn(value, 'constructor') || Object.values(value).some(holdsConstructor);
}
