import { DataStore, Upload } from '@tus/server';
import type { Readable } from 'node:stream';
import type { AccountKey } from '../changes/account-key.js';
import type { Checksum, Disk } from './disk.js';
import type { StoredUpload, Uploads } from './uploads.js';

/**
 * The uploads of one account as `@tus/server` asks for them while it answers one request: there is no way from here to
 * those of another.
 */
export class UploadStore extends DataStore {
  override extensions = ['creation', 'creation-with-upload', 'termination', 'expiration', 'checksum'];
  /** The one that the request is about. */
  private upload?: StoredUpload;

  constructor(
    private readonly account: AccountKey,
    private readonly uploads: Uploads,
    private readonly disk: Disk,
    private readonly ttlMs: number,
    private readonly checksum?: Checksum,
  ) {
    super();
  }

  override async create(upload: Upload): Promise<Upload> {
    this.upload = await this.uploads.create(this.account, upload.id, upload.size!, upload.metadata ?? {});
    upload.creation_date = this.upload.createdAt.toISOString();
    if (upload.size === 0) await this.uploads.complete(this.account, this.upload);
    return upload;
  }

  override async getUpload(id: string): Promise<Upload> {
    const upload = (this.upload = await this.uploads.find(this.account, id));
    const { size, metadata, createdAt, complete } = upload;
    const offset = complete ? size : await this.disk.length(id);
    // The server died, or the account was joined to another, between the last byte and the file's row.
    if (!complete && offset === size) await this.uploads.complete(this.account, upload);
    // The library would let a complete one expire as well, if it knew its age.
    return new Upload({ id, size, offset, metadata, creation_date: offset === size ? undefined : createdAt.toISOString() }); // prettier-ignore
  }

  override async write(stream: Readable, id: string, offset: number): Promise<number> {
    const length = await this.disk.write(id, offset, stream, this.checksum);
    if (length === this.upload!.size) await this.uploads.complete(this.account, this.upload!);
    return length;
  }

  override async remove(id: string): Promise<void> {
    await this.uploads.remove(this.account, id);
  }

  override getExpiration(): number {
    return this.ttlMs;
  }
}
