import { Module } from '@nestjs/common';
import { ClaimsController } from './claims.controller.js';
import { PairingController } from './pairing.controller.js';
import { Pairing } from './pairing.service.js';

@Module({ controllers: [PairingController, ClaimsController], providers: [Pairing], exports: [Pairing] })
export class PairingModule {}
