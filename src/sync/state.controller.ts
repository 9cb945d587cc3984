import { Controller, Get, Header } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Auth } from '../sessions/auth.js';
import type { Session } from '../sessions/session.js';
import { SessionDataDto } from './state.dto.js';
import { States } from './state.service.js';

@ApiTags('session state')
@ApiBearerAuth()
@Controller('api/session')
export class StateController {
  constructor(private readonly states: States) {}

  @ApiOperation({ summary: 'All that the devices of the account keep together, by key.' })
  @Get()
  @Header('Content-Type', 'application/json; charset=utf-8')
  @ApiOkResponse({ type: SessionDataDto })
  sessionData(@Auth() session: Session): Promise<string> {
    return this.states.sessionData(session);
  }
}
