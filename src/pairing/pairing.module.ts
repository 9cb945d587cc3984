import { Module } from '@nestjs/common';
import { PairingController } from './pairing.controller.js';
import { Pairing } from './pairing.service.js';

@Module({ controllers: [PairingController], providers: [Pairing], exports: [Pairing] })
export class PairingModule {}
