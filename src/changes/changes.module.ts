import { Global, Module } from '@nestjs/common';
import { DatabaseModule } from '../database/database.module.js';
import { AccountKeys } from './account-keys.js';
import { Changes } from './changes.js';
import { Feed } from './feed.js';
import { Purge } from './purge.js';

@Global()
@Module({
  imports: [DatabaseModule],
  providers: [AccountKeys, Changes, Feed, Purge],
  exports: [AccountKeys, Changes, Feed],
})
export class ChangesModule {}
