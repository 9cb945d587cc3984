import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { relayError } from '../errors.js';
import { Address, Auth } from '../sessions/auth.js';
import type { Session } from '../sessions/session.js';
import { ClaimDto, ClaimReply } from './pairing.dto.js';
import { Pairing } from './pairing.service.js';

@ApiTags('pairing')
@ApiBearerAuth()
@Controller('api/pairing')
export class ClaimsController {
  constructor(private readonly pairing: Pairing) {}

  @ApiOperation({ summary: 'Lets another browser in, whose QR code this browser has scanned.' })
  @Post('claim')
  @HttpCode(200)
  @ApiOkResponse({ type: ClaimReply })
  async claim(@Auth() session: Session, @Address() address: string, @Body() code: ClaimDto): Promise<ClaimReply> {
    // A phone scans by `mobile:scan-qr`.
    if (session.kind !== 'browser') throw relayError('wrong_role');
    return { success: true, data: await this.pairing.claim(session, code, address) };
  }
}
