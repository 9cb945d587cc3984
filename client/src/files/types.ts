import type { FileReference } from '@pairline/protocol';

export type { FileReference };

/** What a file is read from: a `File` or `Blob`, or what gives the same bytes each time they are asked for. */
export interface FileSource {
  readonly size: number;
  readonly name?: string;
  readonly type?: string;
  /** ms since 1970 */
  readonly lastModified?: number;
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/** How far a file is, in bytes of it. `waiting`: there is no connection, or the server is busy; it goes on by itself. */
export interface FileProgress {
  done: number;
  size: number;
  waiting?: true;
}

/** An upload that has begun, as JSON: with it, and the file, it goes on where it was. It holds the key: keep it as keys are kept. */
export interface SavedUpload {
  reference: FileReference;
  /** base64url */
  salt: string;
  /** The file's `lastModified`. */
  modified?: number;
}

export interface TransferOptions {
  /** Rejects with the signal's reason. Of an upload, what is with the server already goes. */
  signal?: AbortSignal;
  onProgress?: (progress: FileProgress) => void;
}

export interface UploadOptions extends TransferOptions {
  /** Called once, and waited for, before a byte is sent: keep it to `resume` after a reload. */
  keep?: (saved: SavedUpload) => void | Promise<void>;
}

/** The bytes from `start` up to `end`; all where they are missing. */
export interface OpenOptions {
  start?: number;
  end?: number;
  signal?: AbortSignal;
}

/**
 * Files of the account, encrypted before they leave (docs/encryption.md). What breaks off goes on by itself for as long as it
 * takes. Promises reject with a `ClientError`: the server's, above all `file_too_large`, `files_full`, `storage_full`,
 * `upload_expired`, `not_found`; `file_changed` when the file is not the same any more; `damaged_file`.
 */
export interface FilesClient {
  /** How many bytes a file may have on this server. */
  maxSize(): Promise<number>;
  /** Resolves when the server has all of it on disk, with what opens it. Of pictures a browser makes a thumbnail. */
  upload(file: FileSource, options?: UploadOptions): Promise<FileReference>;
  /** Goes on with an upload that was kept. `upload_expired` when there is nothing to go on with: upload it anew. */
  resume(saved: SavedUpload, file: FileSource, options?: TransferOptions): Promise<FileReference>;
  /**
   * The bytes of a file, or those from `start` up to `end`, as they come; each is verified before it is given. Fails with
   * `damaged_file` when it was altered or is not whole, and `offline` when the connection is lost and does not come back soon.
   */
  open(reference: FileReference, options?: OpenOptions): ReadableStream<Uint8Array<ArrayBuffer>>;
  /** The same as a whole. Its type is that of the reference only where it does no harm: pictures, sound, videos. */
  blob(reference: FileReference, options?: TransferOptions): Promise<Blob>;
  /** Deletes a file, or gives up an upload that was kept. Harmless when it is gone already. */
  remove(id: string): Promise<void>;
}
