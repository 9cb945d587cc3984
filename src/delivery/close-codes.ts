import type { ErrorCode } from '../errors.js';

/** What does not fit: RFC 6455, section 7.4.1. */
export const POLICY = 1008;

/**
 * How `/ws` says why it ends (docs/websocket.md): RFC 6455's own codes, and codes of ours from 4001 on where it matters
 * what a client does next. 4001 is wire.md's, section E.
 */
const CODES: Partial<Record<ErrorCode, number>> = {
  stopping: 1001,
  payload_too_large: 1009,
  internal: 1011,
  unavailable: 1011,
  rate_limited: 1013,
  busy: 1013,
  authentication_failed: 4001,
  invalid_token: 4001,
  token_missing: 4001,
  session_expired: 4002,
  device_revoked: 4002,
  replaced: 4003,
  resume_required: 4004,
  cursor_expired: 4005,
};

export function closeCode(code: ErrorCode): number {
  return CODES[code] ?? POLICY;
}
