import { relayError } from '../errors.js';

const MAX_LENGTH = 1024;
const MAX_TYPE_LENGTH = 255;

/** As it comes with an upload (wire.md, section E): a value that is left out is null or absent. */
export type Metadata = Record<string, string | null>;

/** What a client says of a file. Nothing of it is checked against the bytes: they may be encrypted. */
export interface FileMetadata {
  fileName: string;
  /** Bytes, before they were encrypted. */
  fileSize: number;
  fileType: string;
  /** The chat whose members may download it. */
  conversationId?: string;
}

/**
 * Reads the metadata of an upload of so many bytes; what is left out is `file`, `application/octet-stream` and that many
 * bytes. Throws `bad_request`, `string_too_long`, `invalid_string`.
 */
export function readMetadata({ fileName, fileSize, fileType, conversationId }: Metadata, size: number): FileMetadata {
  if (fileSize && !(/^\d{1,16}$/.test(fileSize) && Number.isSafeInteger(Number(fileSize))))
    throw relayError('bad_request', { detail: 'fileSize must be a whole number' });
  return {
    fileName: readText('fileName', fileName || 'file', MAX_LENGTH),
    fileSize: fileSize ? Number(fileSize) : size,
    fileType: readText('fileType', fileType || 'application/octet-stream', MAX_TYPE_LENGTH),
    ...(conversationId ? { conversationId: readText('conversationId', conversationId, MAX_LENGTH) } : {}),
  };
}

function readText(field: string, text: string, maxLength: number): string {
  if (text.length > maxLength) throw relayError('string_too_long', { detail: field });
  // U+FFFD is what bytes become that are not UTF-8.
  if (/[\p{Cc}\ufffd]/u.test(text)) throw relayError('invalid_string', { detail: field });
  return text;
}
