import { Module } from '@nestjs/common';
import { StateKind } from './state.kind.js';
import { States } from './state.service.js';

@Module({ providers: [StateKind, States], exports: [States] })
export class SyncModule {}
