import { Controller, HttpCode, Post, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { Auth, Scoped } from '../sessions/auth.js';
import type { Session } from '../sessions/session.js';
import { DeltaSyncDto, DeltaSyncedDto } from './delta-sync.dto.js';
import { DeltaSync } from './delta-sync.service.js';

@ApiTags('delta sync')
@ApiBearerAuth()
@Controller('api/sync')
export class DeltaSyncController {
  constructor(private readonly deltaSync: DeltaSync) {}

  @ApiOperation({
    summary:
      'Stores what a client changed, the newer `updated_at` of a row winning, and answers what else changed since its last sync. One row that does not fit refuses the whole request.',
  })
  @Post()
  @HttpCode(200)
  @Scoped('sync')
  @ApiBody({ type: DeltaSyncDto, required: false })
  @ApiOkResponse({ type: DeltaSyncedDto })
  sync(@Auth() session: Session, @Req() request: Request, @Res() response: Response): Promise<void> {
    return this.deltaSync.sync(session, request, response);
  }
}
