import { Global, Module } from '@nestjs/common';
import { Database } from './database.js';
import { Databases } from './databases.js';

@Global()
@Module({
  providers: [Databases, { provide: Database, useFactory: ({ main }: Databases) => main, inject: [Databases] }],
  exports: [Database, Databases],
})
export class DatabaseModule {}
