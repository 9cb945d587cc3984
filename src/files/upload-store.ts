import { DataStore, Upload } from '@tus/server';
import type { Readable } from 'node:stream';
import type { AccountKey } from '../changes/account-key.js';
import { relayError } from '../errors.js';
import type { Concatenation, Whole } from './concatenation.js';
import type { Checksum, Storage } from './storage.js';
import type { StoredUpload, Uploads } from './uploads.js';

/** What a request says besides what `@tus/server` reads. */
export interface Wishes {
  checksum?: Checksum;
  /** What is created is a part, or is joined from parts. */
  creation?: 'partial' | Whole;
  /** It brings bytes for an upload that is there. */
  adds: boolean;
}

/**
 * The uploads of one account as `@tus/server` asks for them while it answers one request: there is no way from here to
 * those of another.
 */
export class UploadStore extends DataStore {
  override extensions = ['creation', 'creation-with-upload', 'termination', 'expiration', 'checksum', 'concatenation'];
  /** The one that the request is about. */
  upload?: StoredUpload;

  constructor(
    private readonly account: AccountKey,
    private readonly uploads: Uploads,
    private readonly concatenation: Concatenation,
    private readonly storage: Storage,
    private readonly ttlMs: number,
    private readonly wishes: Wishes,
  ) {
    super();
  }

  override async create(upload: Upload): Promise<Upload> {
    const { account, wishes } = this;
    const [id, size, metadata] = [upload.id, upload.size!, upload.metadata ?? {}];
    if (typeof wishes.creation === 'object') {
      this.upload = await this.concatenation.join(account, wishes.creation, metadata);
      return upload;
    }
    const partial = wishes.creation === 'partial';
    this.upload = await this.uploads.create(account, { id, size, metadata, partial });
    upload.creation_date = this.upload.createdAt.toISOString();
    if (size === 0) await this.complete();
    return upload;
  }

  override async getUpload(id: string): Promise<Upload> {
    const upload = (this.upload = await this.uploads.find(this.account, id));
    const { size, metadata, createdAt, complete } = upload;
    // tus, concatenation: whatever the offset is.
    if (upload.joined && this.wishes.adds) throw relayError('upload_joined');
    const offset = complete ? size : await this.storage.length(id);
    // The server died, or the account was joined to another, between the last byte and the file's row.
    if (!complete && offset === size) await this.complete();
    // The library would let a file expire as well, if it knew its age.
    const expires = upload.partial || offset < size;
    return new Upload({ id, size, offset, metadata, creation_date: expires ? createdAt.toISOString() : undefined });
  }

  override async write(stream: Readable, id: string, offset: number): Promise<number> {
    const length = await this.storage.write(id, offset, stream, this.wishes.checksum);
    if (length === this.upload!.size) await this.complete();
    return length;
  }

  override async remove(id: string): Promise<void> {
    await this.uploads.remove(this.account, id);
  }

  override getExpiration(): number {
    return this.ttlMs;
  }

  private async complete(): Promise<void> {
    if (!this.upload!.partial) await this.uploads.complete(this.account, this.upload!);
  }
}
