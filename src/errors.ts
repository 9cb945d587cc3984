import { randomUUID } from 'node:crypto';

/**
 * The one catalogue of errors: code → HTTP status and sentence. Codes are public API and never change their meaning;
 * the sentences in quotes in docs/protocol.md are what existing clients look for.
 */
const catalogue = {
  // Requests that do not fit
  bad_request: [400, 'The request is not valid'],
  malformed_json: [400, 'The body is not valid JSON'],
  invalid_frame: [400, 'A message must be one JSON object {type, data, id?}'],
  unknown_event: [400, 'Unknown event'],
  invalid_payload: [400, 'The payload does not fit this event'],
  invalid_string: [400, 'A text contains characters that cannot be stored'],
  string_too_long: [400, 'A text is too long'],
  batch_too_large: [400, 'Too many items in one batch'],
  nesting_too_deep: [400, 'The payload is nested too deeply'],
  payload_too_large: [413, 'The payload is too large'],
  route_not_found: [404, 'Route not found'],
  not_found: [404, 'Not found'],

  // Who is asking
  not_authenticated: [401, 'Not authenticated'],
  authentication_failed: [401, 'Authentication failed'],
  session_expired: [401, 'Session expired or revoked'],
  device_not_registered: [401, 'Device not registered'],
  device_token_required: [401, 'Authentication failed'],
  already_authenticated: [409, 'This connection belongs to another device'],
  registration_closed: [403, 'This server takes nobody new'],
  origin_refused: [403, 'Pages of this origin may not connect'],
  invite_required: [403, 'This server takes new phones and people by invitation only'],
  wrong_role: [403, 'This kind of device cannot do that'],
  scope_missing: [403, 'This API key may not do that'],
  token_expired: [403, 'Invalid or expired token'],
  token_missing: [401, 'Authentication token required'],
  invalid_token: [401, 'Invalid or expired token'],
  refresh_refused: [403, 'Invalid or expired refresh token'],
  realm_unknown: [404, 'Realm not found'],

  // Accounts
  wrong_credentials: [401, 'Wrong username or password'],
  sign_in_refused: [403, 'Wrong username or password'],
  wrong_code: [400, 'Wrong or expired code'],
  code_refused: [403, 'Wrong or expired code'],
  email_taken: [409, 'The email is already registered'],
  name_taken: [409, 'The name is already taken'],
  email_unknown: [400, 'email is not registered'],
  mail_unavailable: [503, 'This server sends no mails'],
  accounts_unjoinable: [409, 'These two accounts cannot be joined'],
  keys_full: [409, 'This account has too many API keys'],
  person_not_found: [404, 'Person not found'],

  // Pairing
  token_required: [400, 'Token is required'],
  pairing_unknown: [404, 'Pairing not found'],
  pairing_timeout: [408, 'Pairing timeout'],
  pairing_used: [410, 'QR code already used'],
  pairing_expired: [410, 'QR code expired'],
  invalid_qr: [400, 'Invalid QR code'],

  // Messages
  message_not_found: [404, 'Message not found'],
  conversation_not_found: [404, 'Conversation not found'],
  temp_id_taken: [409, 'This tempId already names another message'],
  valid_until_passed: [400, 'validUntil is in the past'],
  phone_away: [409, 'Mobile device not connected'],

  // Conversations
  invalid_content: [400, 'A content is base64 of at least 28 bytes'],
  invitation_not_found: [404, 'Invitation not found'],
  invitation_answered: [409, 'This invitation has been answered'],
  already_member: [409, 'This person is in the conversation already'],
  chat_direct: [409, 'A conversation of two takes no others and has no name'],
  chat_full: [409, 'This conversation has as many members as it may'],
  role_missing: [403, 'Your role in this conversation does not allow that'],
  owner_must_hand_over: [409, 'The owner has to hand the conversation over first'],
  message_id_taken: [409, 'This messageId already names another message'],
  message_too_old: [409, 'The message can no longer be changed'],
  epoch_taken: [409, 'There is a key for this epoch already'],
  epoch_unknown: [400, 'There is no such epoch'],
  keys_incomplete: [409, 'There has to be a key for each member, and for nobody else'],
  key_outdated: [409, 'The conversation has a newer key'],

  // Shared state
  state_exists: [409, 'This key has a value already'],
  state_full: [409, 'This account shares too much'],

  // Files
  tus_version: [412, 'The header Tus-Resumable must be 1.0.0'],
  wrong_offset: [409, 'The upload goes on at another offset'],
  upload_expired: [410, 'The upload was not completed in time'],
  upload_locked: [423, 'Another request writes to this upload'],
  upload_joined: [403, 'This upload was joined from parts and takes no more bytes'],
  part_incomplete: [409, 'A part of the upload is not complete'],
  part_taken: [409, 'A part belongs to another upload already'],
  link_expired: [410, 'The link has expired'],
  checksum_mismatch: [460, 'The bytes do not fit their checksum'],
  file_too_large: [413, 'The file is too large'],
  files_full: [413, 'This account has no room for the file'],
  range_unsatisfiable: [416, 'The file has no such range'],
  extension_unsupported: [501, 'This server does not support this part of tus'],
  storage_full: [507, 'The server has no room left'],
  storage_unavailable: [503, 'The store of files is not available, try again shortly'],

  // Table sync and delta sync
  row_invalid: [400, 'A row cannot be stored'],

  // Reading changes
  cursor_expired: [410, 'The cursor is too old: start over from a snapshot'],
  resume_required: [409, 'This connection is too slow to follow: connect again to resume'],
  replaced: [409, 'A newer connection of this device took over'],
  device_revoked: [401, 'This device was removed'],

  // Load and faults
  rate_limited: [429, 'Too many requests, try again later'],
  busy: [503, 'The server is busy, try again shortly'],
  unavailable: [503, 'The database is not available, try again shortly'],
  stopping: [503, 'The server is stopping, connect again'],
  rejected: [400, 'This row cannot be stored'],
  internal: [500, 'Something went wrong'],
} as const satisfies Record<string, readonly [number, string]>;

export type ErrorCode = keyof typeof catalogue;

/** The body of every error, over REST and sockets alike (wire.md). */
export interface ErrorBody {
  success: false;
  code: ErrorCode;
  message: string;
  error: string;
  requestId: string;
  /** Seconds after which trying again makes sense. */
  retryAfter?: number;
}

export interface ErrorDetail {
  /** Added to the catalogue's sentence: which field, which bound. Never content, numbers, names or tokens. */
  detail?: string;
  /** Seconds. */
  retryAfter?: number;
  cause?: unknown;
}

export class RelayError extends Error {
  readonly status: number;
  readonly retryAfter?: number;

  constructor(
    readonly code: ErrorCode,
    { detail, retryAfter, cause }: ErrorDetail = {},
  ) {
    const [status, sentence] = catalogue[code];
    super(detail ? `${sentence}: ${detail}` : sentence, { cause });
    this.name = 'RelayError';
    this.status = status;
    this.retryAfter = retryAfter;
  }

  toBody(requestId: string = randomUUID()): ErrorBody {
    return {
      success: false,
      code: this.code,
      message: this.message,
      error: this.message,
      requestId,
      ...(this.retryAfter === undefined ? {} : { retryAfter: this.retryAfter }),
    };
  }
}

/** The way to fail: `throw relayError('pairing_expired')`. */
export function relayError(code: ErrorCode, detail?: ErrorDetail): RelayError {
  return new RelayError(code, detail);
}
