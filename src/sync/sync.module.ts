import { Module } from '@nestjs/common';
import { PendingPulls } from './pending-pulls.js';
import { RecordKind } from './record.kind.js';
import { RecordReader } from './record-reader.js';
import { StateController } from './state.controller.js';
import { StateKind } from './state.kind.js';
import { States } from './state.service.js';
import { TablesController } from './tables.controller.js';
import { Tables } from './tables.service.js';

@Module({
  controllers: [StateController, TablesController],
  providers: [PendingPulls, RecordKind, RecordReader, StateKind, States, Tables],
  exports: [States],
})
export class SyncModule {}
