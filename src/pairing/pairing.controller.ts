import { Body, Controller, Get, HttpCode, Post, Query, Req, Res, StreamableFile } from '@nestjs/common';
import { ApiExtraModels, ApiOkResponse, ApiOperation, ApiTags, getSchemaPath } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { Inject } from '@nestjs/common';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { Address, Public } from '../sessions/auth.js';
import { Tokens } from '../sessions/tokens.js';
import {
  GenerateQrQuery,
  GenerateQrReply,
  VerifyDto,
  VerifyReply,
  WaitPairingDto,
  WaitPairingReply,
} from './pairing.dto.js';
import { Pairing } from './pairing.service.js';
import { qrPng, qrSvg } from './qr-image.js';

@ApiTags('pairing')
@Public()
@Controller('api/auth')
export class PairingController {
  constructor(
    private readonly pairing: Pairing,
    private readonly tokens: Tokens,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  @ApiOperation({ summary: 'A new QR code for a phone to scan.' })
  @Get('generate-qr')
  @ApiExtraModels(GenerateQrReply)
  @ApiOkResponse({
    content: {
      'application/json': { schema: { $ref: getSchemaPath(GenerateQrReply) } },
      'image/png': { schema: { type: 'string', format: 'binary' } },
      'image/svg+xml': { schema: { type: 'string' } },
    },
  })
  async generateQr(
    @Address() address: string,
    @Query() { format }: GenerateQrQuery,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<GenerateQrReply | StreamableFile> {
    const url = this.env.publicUrl ?? addressOf(request);
    const { token, qrData, expiresIn } = await this.pairing.create(address, url);
    response.set('Cache-Control', 'no-store');
    if (format !== undefined) {
      response.set('Pairing-Token', token);
      return image(qrData, format);
    }
    const qrImage = `data:image/png;base64,${qrPng(qrData).toString('base64')}`;
    return { success: true, data: { qrData, token, expiresIn, qrImage } };
  }

  @ApiOperation({ summary: 'Long poll: answers when a device has scanned the code, or with 408 when it expires.' })
  @Post('wait-pairing')
  @HttpCode(200)
  @ApiOkResponse({ type: WaitPairingReply })
  async waitPairing(
    @Address() address: string,
    @Body() { token, deviceName }: WaitPairingDto,
    @Res({ passthrough: true }) response: Response,
  ): Promise<WaitPairingReply> {
    return { success: true, data: await this.pairing.wait(token, address, response, deviceName) };
  }

  @ApiOperation({ summary: 'Whether a session token is good, and which phone it belongs to.' })
  @Post('verify')
  @HttpCode(200)
  @ApiOkResponse({ type: VerifyReply })
  async verify(@Address() address: string, @Body() { sessionToken }: VerifyDto): Promise<VerifyReply> {
    if (!sessionToken) throw relayError('token_required');
    const { account, phoneId, deviceId } = await this.tokens.authenticate(sessionToken, address);
    return { success: true, data: { deviceId: phoneId, sessionId: deviceId, accountId: account.id } };
  }
}

/** Where the request found this server. A QR code has room for an address, not for whatever a header may hold. */
function addressOf(request: Request): string {
  const host = request.get('host') ?? '';
  const secure = request.protocol === 'https';
  return `${secure ? 'https' : 'http'}://${/^[\w.:[\]-]{1,255}$/.test(host) ? host : 'localhost'}`;
}

async function image(qrData: string, format: 'png' | 'svg'): Promise<StreamableFile> {
  if (format === 'png') return new StreamableFile(qrPng(qrData), { type: 'image/png' });
  return new StreamableFile(Buffer.from(await qrSvg(qrData)), { type: 'image/svg+xml' });
}
