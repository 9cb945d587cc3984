import { Controller, Delete, Get, Param, Put } from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Auth } from '../sessions/auth.js';
import { DoneDto } from '../sessions/devices.dto.js';
import type { Session } from '../sessions/session.js';
import { BlocksDto } from './blocks.dto.js';
import { Blocks } from './blocks.service.js';

@ApiTags('blocks')
@ApiBearerAuth()
@Controller('api/blocks')
export class BlocksController {
  constructor(private readonly blocks: Blocks) {}

  @ApiOperation({ summary: 'Whom the account blocks.' })
  @Get()
  @ApiOkResponse({ type: BlocksDto })
  async list(@Auth() session: Session): Promise<BlocksDto> {
    return { blocks: (await this.blocks.list(session)).map((user_id) => ({ user_id })) };
  }

  @ApiOperation({ summary: 'Blocks somebody: nothing they write or invite to comes any more, and they are not told.' })
  @Put(':userId')
  @ApiBody({ required: false, schema: { type: 'object' }, description: 'None is needed' })
  @ApiOkResponse({ type: DoneDto })
  async block(@Auth() session: Session, @Param('userId') userId: string): Promise<DoneDto> {
    await this.blocks.block(session, userId);
    return { success: true };
  }

  @ApiOperation({ summary: 'Lets somebody through again. What they wrote meanwhile does not come.' })
  @Delete(':userId')
  @ApiOkResponse({ type: DoneDto })
  async unblock(@Auth() session: Session, @Param('userId') userId: string): Promise<DoneDto> {
    await this.blocks.unblock(session, userId);
    return { success: true };
  }
}
