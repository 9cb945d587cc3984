import { Module } from '@nestjs/common';
import { JwtModule } from '@nestjs/jwt';
import { ENV, type BootEnv } from '../env.js';
import { Concatenation } from './concatenation.js';
import { Disk } from './disk.js';
import { Downloads } from './downloads.js';
import { FileLinksController } from './file-links.controller.js';
import { FileLinks, linkKey } from './file-links.js';
import { FileKind } from './file.kind.js';
import { FilesController } from './files.controller.js';
import { Leftovers } from './leftovers.js';
import { Storage } from './storage.js';
import { Tus } from './tus.js';
import { Uploads } from './uploads.js';

async function openStorage(env: BootEnv): Promise<Storage> {
  if (env.filesBucket === undefined) return new Disk(env);
  // The client of S3 is large, and most servers do without.
  const { Bucket } = await import('./bucket.js');
  return new Bucket(env.filesBucket);
}

@Module({
  imports: [JwtModule.registerAsync({ inject: [ENV], useFactory: (env: BootEnv) => ({ secret: linkKey(env) }) })],
  controllers: [FileLinksController, FilesController],
  providers: [
    Concatenation,
    Downloads,
    FileKind,
    FileLinks,
    Leftovers,
    Tus,
    Uploads,
    { provide: Storage, inject: [ENV], useFactory: openStorage },
  ],
})
export class FilesModule {}
