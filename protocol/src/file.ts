// How native clients encrypt a file before it leaves the device. docs/encryption.md tells it in words; vectors/file.json shows
// it in values. It is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár, 2015), as age has it: chunks that are sealed one by one,
// each for its place, and the last one as the last.
//
//   file   = header || chunk 0 || chunk 1 || …
//   header = version(1), 0x01 || salt(16)
//   chunk  = AES-256-GCM ciphertext || tag(16), of 65,536 bytes; the last one of what is left, which is at least one byte in
//            all files but the empty one
//   key    = HKDF-SHA256(file key, salt, info "pairline/1 file", 32 bytes)
//   nonce  = number of the chunk from 0 on, big-endian (11) || 0x01 for the last chunk, 0x00 for the others (1)
//   AAD    = header
//
// The file key is 32 random bytes, new for each file. With another file under the same key and salt, the key would be lost.

export const FILE_VERSION = 1;
export const FILE_INFO = 'pairline/1 file';
export const FILE_SALT_BYTES = 16;
/** Bytes of a file in each of its chunks but the last one. */
export const FILE_CHUNK_BYTES = 65_536;
/** What sealing adds to a chunk. */
export const FILE_TAG_BYTES = 16;

/** What one has to know of a file to have it. Goes from device to device in what is sealed, never to the server. */
export interface FileReference {
  /** Of the upload: where the bytes are. */
  id: string;
  /** The file key, base64url. */
  key: string;
  name: string;
  /** As in `Content-Type`; `application/octet-stream` where it is not known. */
  type: string;
  /** Bytes before they are encrypted. */
  size: number;
  /** Of a picture: a small one, as a data URL. */
  thumbnail?: string;
  /** Of a picture: pixels, the right way up. */
  width?: number;
  height?: number;
}
