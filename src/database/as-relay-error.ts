import { RelayError, relayError } from '../errors.js';
import { isConnectionError, isOrphan } from './faults.js';

/**
 * Any fault as an error of the catalogue: the database being away is `unavailable`, an account that was deleted meanwhile is
 * `session_expired`, what nobody foresaw is `internal`.
 */
export function asRelayError(error: unknown): RelayError {
  if (error instanceof RelayError) return error;
  if (isConnectionError(error)) return relayError('unavailable', { retryAfter: 1, cause: error });
  if (isOrphan(error)) return relayError('session_expired', { cause: error });
  return relayError('internal', { cause: error });
}
