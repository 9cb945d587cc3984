import { hkdfSync } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import type { Response } from 'express';
import type { AccountKey } from '../changes/account-key.js';
import { AccountKeys } from '../changes/account-keys.js';
import { DEFAULT_REALM, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import type { Session } from '../sessions/session.js';
import { Downloads } from './downloads.js';
import type { FileLinkDto } from './files.dto.js';
import { Uploads } from './uploads.js';

/** What a link says; it is only good while the device that asked for it is signed in, and may read the file. */
interface LinkClaims {
  /** The file. */
  file: string;
  /** The account that asked. */
  sub: string;
  /** Its device, and of which generation it was. */
  sid: string;
  gen: number;
  /** Absent for `default`. */
  realm?: string;
}

/** Signs links and nothing else: a session token is no link, and a link no session token. */
export function linkKey({ jwtSecret }: Pick<BootEnv, 'jwtSecret'>): Buffer {
  return Buffer.from(hkdfSync('sha256', jwtSecret, Buffer.alloc(0), 'pairline file links', 32));
}

/** Addresses by which a file can be read without a token for a while: by an `<img>`, a player, a download. */
@Injectable()
export class FileLinks {
  constructor(
    private readonly jwt: JwtService,
    private readonly accounts: AccountKeys,
    private readonly uploads: Uploads,
    private readonly downloads: Downloads,
  ) {}

  /** `seconds` from now. Throws `not_found`. */
  async create({ account, deviceId }: Session, id: string, seconds: number): Promise<FileLinkDto> {
    await this.uploads.findFile(account, id);
    const device = await this.device(account, deviceId);
    if (device === null) throw relayError('session_expired');
    const { realm } = account.home;
    const exp = Math.floor(Date.now() / 1000) + seconds;
    const claims: LinkClaims = {
      ...{ file: id, sub: account.id, sid: deviceId, gen: device.generation },
      ...(realm === DEFAULT_REALM ? {} : { realm }),
    };
    return { url: `/api/file-links/${this.jwt.sign({ ...claims, exp })}`, expiresAt: exp * 1000 };
  }

  /** Throws what a download does, and `link_expired`. */
  async send(link: string, response: Response): Promise<void> {
    const { file, sub, sid, gen, realm } = await this.read(link);
    const account = await this.accounts.find(sub, realm);
    const device = account && (await this.device(account, sid));
    if (!account || device?.generation !== gen) throw relayError('not_found');
    await this.downloads.send(account, response, file);
  }

  private async read(link: string): Promise<LinkClaims> {
    try {
      return await this.jwt.verifyAsync<LinkClaims>(link, { algorithms: ['HS256'] });
    } catch (error) {
      // Told after the signature was found right.
      if ((error as Error).name === 'TokenExpiredError') throw relayError('link_expired', { cause: error });
      if (['JsonWebTokenError', 'NotBeforeError', 'SyntaxError'].includes((error as Error).name))
        throw relayError('not_found', { cause: error });
      throw error;
    }
  }

  /** While it is signed in. */
  private device(account: AccountKey, id: string): Promise<{ generation: number } | null> {
    return account.home.database.prisma.device.findFirst({
      where: {
        ...{ accountId: account.id, id, deleted: false },
        OR: [{ expiresAt: null }, { expiresAt: { gt: new Date() } }],
      },
      select: { generation: true },
    });
  }
}
