import { Body, Controller, Delete, Get, Param, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiKeysDto, CreateApiKeyDto, NewApiKeyDto } from './api-keys.dto.js';
import { ApiKeys } from './api-keys.js';
import { Auth } from './auth.js';
import { DoneDto } from './devices.dto.js';
import type { Session } from './session.js';

/** Keys for programs (wire.md, section D). For devices alone: a key cannot make keys. */
@ApiTags('keys')
@ApiBearerAuth()
@Controller('api/keys')
export class ApiKeysController {
  constructor(private readonly keys: ApiKeys) {}

  @ApiOperation({ summary: 'Makes a key by which a program can act for the account. It is told once.' })
  @Post()
  @ApiCreatedResponse({ type: NewApiKeyDto })
  create(@Auth() session: Session, @Body() { name, scopes, expiresAt }: CreateApiKeyDto): Promise<NewApiKeyDto> {
    return this.keys.create(session, name, scopes ?? undefined, expiresAt ?? undefined);
  }

  @ApiOperation({ summary: 'The keys of the account, without the keys themselves.' })
  @Get()
  @ApiOkResponse({ type: ApiKeysDto })
  async list(@Auth() session: Session): Promise<ApiKeysDto> {
    return { keys: await this.keys.list(session) };
  }

  @ApiOperation({ summary: 'Revokes a key: it stops working, and what it has open ends.' })
  @Delete(':id')
  @ApiOkResponse({ type: DoneDto })
  async revoke(@Auth() session: Session, @Param('id') id: string): Promise<DoneDto> {
    await this.keys.revoke(session, id);
    return { success: true };
  }
}
