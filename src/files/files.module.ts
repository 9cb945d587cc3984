import { Module } from '@nestjs/common';
import { Disk } from './disk.js';
import { Downloads } from './downloads.js';
import { FileKind } from './file.kind.js';
import { FilesController } from './files.controller.js';
import { Leftovers } from './leftovers.js';
import { Tus } from './tus.js';
import { Uploads } from './uploads.js';

@Module({
  controllers: [FilesController],
  providers: [Disk, Downloads, FileKind, Leftovers, Tus, Uploads],
})
export class FilesModule {}
