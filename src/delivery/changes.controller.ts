import { Controller, Get, Header, Headers, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiHeader, ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { Auth, Scoped, Since } from '../sessions/auth.js';
import type { Session } from '../sessions/session.js';
import { ChangesDto, ChangesQuery, CursorQuery, SnapshotDto } from './changes.dto.js';
import { ChangesReader } from './changes-reader.js';

const JSON_TYPE = 'application/json; charset=utf-8';

@ApiTags('changes')
@ApiBearerAuth()
@Controller('api')
export class ChangesController {
  constructor(private readonly reader: ChangesReader) {}

  @ApiOperation({
    summary:
      'What changed after a cursor, in order; with `wait`, a long poll. 410 `cursor_expired`: start over from the snapshot.',
  })
  @Get('changes')
  @Scoped('changes')
  @Header('Content-Type', JSON_TYPE)
  @ApiOkResponse({ type: ChangesDto })
  changes(
    @Auth() session: Session,
    @Since() since: number,
    @Query() query: ChangesQuery,
    @Res({ passthrough: true }) response: Response,
  ): Promise<string> {
    return this.reader.page({ session, since }, query, response);
  }

  @ApiOperation({
    summary: 'Everything there is now, in pages; then go on with /api/changes from the `cursor` of the first.',
  })
  @Get('snapshot')
  @Scoped('changes')
  @Header('Content-Type', JSON_TYPE)
  @ApiOkResponse({ type: SnapshotDto })
  snapshot(@Auth() session: Session, @Query() { after, limit }: CursorQuery): Promise<string> {
    return this.reader.snapshot(session, after, limit);
  }

  @ApiOperation({ summary: 'The same as server-sent events: `id` is the cursor, and Last-Event-ID resumes.' })
  @Get('changes/stream')
  @Scoped('changes')
  @ApiProduces('text/event-stream')
  @ApiOkResponse({ type: String })
  @ApiHeader({ name: 'Last-Event-ID', required: false })
  stream(
    @Auth() session: Session,
    @Since() since: number,
    @Query() { after }: CursorQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    return this.reader.stream({ session, since }, lastEventId, after, request, response);
  }
}
