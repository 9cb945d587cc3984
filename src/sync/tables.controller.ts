import {
  Controller,
  createParamDecorator,
  Header,
  HttpCode,
  Param,
  Post,
  Res,
  UseInterceptors,
  type ExecutionContext,
} from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { Auth, TableSync } from '../sessions/auth.js';
import type { Session } from '../sessions/session.js';
import { PushBody } from './push-body.js';
import { CancelDto, PulledDto, PullDto, PushDto, PushedAnswerDto } from './tables.dto.js';
import { Tables } from './tables.service.js';

/** The body as it came: rows of apps' tables may be deeper, and hold other names, than the DTOs of this server. */
const Body = createParamDecorator(
  (_: unknown, context: ExecutionContext): unknown => context.switchToHttp().getRequest<Request>().body,
);

@ApiTags('table sync')
@ApiBearerAuth()
@ApiParam({ name: 'realm', description: 'Lower case' })
@TableSync()
@Controller()
export class TablesController {
  constructor(private readonly tables: Tables) {}

  @ApiOperation({ summary: 'What others changed after `lastSync`, and which of the client’s own changes have lost.' })
  @ApiBody({ type: PullDto })
  @ApiOkResponse({ type: PulledDto })
  @HttpCode(200)
  @Post(['pull/:realm', 'pull/:realm/:clientId'])
  pull(
    @Auth() session: Session,
    @Param('clientId') clientId: string | undefined,
    @Body() body: unknown,
    @Res() response: Response,
  ): Promise<void> {
    return this.tables.pull(session, clientId, body, response);
  }

  @ApiOperation({ summary: 'Stores a client’s changes; of two changes of a row the newer stands.' })
  @ApiBody({ type: PushDto })
  @ApiOkResponse({ type: PushedAnswerDto })
  @UseInterceptors(PushBody)
  @HttpCode(200)
  @Post(['push/:realm', 'push/:realm/:clientId'])
  push(
    @Auth() session: Session,
    @Param('clientId') clientId: string | undefined,
    @Body() body: unknown,
  ): Promise<PushedAnswerDto> {
    return this.tables.push(session, clientId, body);
  }

  @ApiOperation({ summary: 'Ends a pull in parts: what was announced so far is forgotten.' })
  @ApiBody({ type: CancelDto })
  @ApiOkResponse({ schema: { type: 'boolean', enum: [true] } })
  @Header('Content-Type', 'application/json; charset=utf-8')
  @HttpCode(200)
  @Post('cancelSync/:realm')
  async cancel(@Auth() session: Session, @Body() body: unknown): Promise<string> {
    return String(await this.tables.cancel(session, body));
  }
}
