import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { relayError } from '../errors.js';
import { Storage } from './storage.js';
import type { Metadata } from './file-metadata.js';
import { isUploadId, Uploads, type StoredUpload } from './uploads.js';

/** What `Upload-Concat` asks for: a part, or these parts joined. */
export type Concat = 'partial' | { parts: string[] };

/** An upload that parts are to become, or have become. */
export interface Whole {
  id: string;
  /** Bytes of all parts. */
  size: number;
  parts: string[];
  /** It was asked for before: then it goes on. */
  begun: boolean;
}

interface Part {
  id: string;
  size: number;
  joinedTo: string | null;
}

/** Reads `Upload-Concat` of tus: addresses may be whole or paths. Throws `bad_request`. */
export function readConcat(header: string | undefined): Concat | undefined {
  if (header === undefined || header === 'partial') return header;
  const parts = /^final;(.+)$/.exec(header)?.[1]!.trim().split(/ +/).map((url) => /\/api\/files\/([^/?#]+)$/.exec(url)?.[1] ?? ''); // prettier-ignore
  if (parts === undefined || !parts.every(isUploadId))
    throw relayError('bad_request', {
      detail: 'Upload-Concat must be partial, or final; and the addresses of the parts',
    });
  if (new Set(parts).size < parts.length)
    throw relayError('bad_request', { detail: 'Upload-Concat names a part twice' });
  return { parts };
}

/**
 * Uploads that came in parts, also at the same time, and are joined into one (tus' extension concatenation). The parts give
 * their room to the whole when it is asked for, and their bytes one after the other: the whole's length alone says how far
 * that is. Whoever asks again after a crash finishes it, and gets the same one.
 */
@Injectable()
export class Concatenation {
  constructor(
    private readonly uploads: Uploads,
    private readonly storage: Storage,
  ) {}

  /** Throws `not_found`, `part_incomplete`, `part_taken`. */
  async plan(account: AccountKey, ids: string[]): Promise<Whole> {
    const parts = await this.find(account, ids);
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    const joinedTo = parts.find((part) => part.joinedTo !== null)?.joinedTo ?? null;
    if (joinedTo === null) for (const part of parts) await this.checkComplete(part);
    // All of them, and no others: with fewer it would be taken for whole before it is.
    else if ((await this.partsOf(account, joinedTo)).join() !== ids.join()) throw relayError('part_taken');
    return { id: joinedTo ?? randomUUID(), size, parts: ids, begun: joinedTo !== null };
  }

  /** Throws what `Uploads.create` does, and `not_found` for one that was deleted meanwhile. */
  async join(account: AccountKey, { id, size, parts: ids, begun }: Whole, metadata: Metadata): Promise<StoredUpload> {
    const upload = begun
      ? await this.uploads.find(account, id)
      : await this.uploads.create(account, { id, size, metadata, parts: ids });
    if (upload.complete) return upload;
    await this.storage.create(id);
    let length = await this.storage.length(id);
    let end = 0;
    for (const part of await this.find(account, ids)) {
      const start = end;
      end += part.size;
      if (length < end) {
        const rest = await this.storage.read(part.id, length - start, part.size);
        length = await this.storage.write(id, length, rest);
      }
      // What was added is kept: the whole needs no more room than one part besides its own.
      await this.storage.remove(part.id);
    }
    await this.uploads.complete(account, upload);
    return upload;
  }

  /** The ids of the parts that an upload was joined from, as long as they are remembered. */
  async partsOf(account: AccountKey, id: string): Promise<string[]> {
    const rows = await account.home.database.prisma.upload.findMany({
      where: { accountId: account.id, joinedTo: id },
      select: { id: true },
      orderBy: { place: 'asc' },
    });
    return rows.map((row) => row.id);
  }

  /** In this order. */
  private async find(account: AccountKey, ids: string[]): Promise<Part[]> {
    const rows = await account.home.database.prisma.upload.findMany({
      where: { accountId: account.id, id: { in: ids }, concat: 'partial', expiresAt: { gt: new Date() } },
      select: { id: true, size: true, joinedTo: true },
    });
    const parts = new Map(rows.map((row) => [row.id, { ...row, size: Number(row.size) }]));
    if (parts.size < ids.length) throw relayError('not_found');
    return ids.map((id) => parts.get(id)!);
  }

  private async checkComplete({ id, size }: Part): Promise<void> {
    if ((await this.storage.length(id)) !== size) throw relayError('part_incomplete');
  }
}
