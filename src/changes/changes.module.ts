import { Global, Module } from '@nestjs/common';
import { DatabaseModule } from '../database/database.module.js';
import { AccountKeys } from './account-keys.js';
import { Adoption } from './adoption.js';
import { Changes } from './changes.js';
import { Erasure } from './erasure.js';
import { Feed } from './feed.js';
import { Purge } from './purge.js';

@Global()
@Module({
  imports: [DatabaseModule],
  providers: [AccountKeys, Adoption, Changes, Erasure, Feed, Purge],
  exports: [AccountKeys, Adoption, Changes, Erasure, Feed],
})
export class ChangesModule {}
