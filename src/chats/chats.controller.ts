import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Auth } from '../sessions/auth.js';
import { DoneDto } from '../sessions/devices.dto.js';
import type { Session } from '../sessions/session.js';
import { ChatReading } from './chat-reading.js';
import { ChatIdDto, ChatsDto, ChatWithMembersDto, CreateChatDto, GiveKeysDto, MembersDto, RenameChatDto, RotateDto, SetRoleDto } from './chats.dto.js'; // prettier-ignore
import { Chats } from './chats.service.js';

const DONE: DoneDto = { success: true };

/** Conversations between people (wire.md, section E): groups, their members and keys. */
@ApiTags('conversations')
@ApiBearerAuth()
@Controller('api/conversations')
export class ChatsController {
  constructor(
    private readonly chats: Chats,
    private readonly reading: ChatReading,
  ) {}

  @ApiOperation({ summary: 'Begins a group, with its owner as the only member.' })
  @Post()
  @ApiCreatedResponse({ type: ChatIdDto })
  async create(@Auth() session: Session, @Body() { name }: CreateChatDto): Promise<ChatIdDto> {
    return { conversation_id: await this.chats.create(session, name ?? undefined) };
  }

  @ApiOperation({ summary: 'The conversations one is in.' })
  @Get()
  @ApiOkResponse({ type: ChatsDto })
  async list(@Auth() session: Session): Promise<ChatsDto> {
    return { conversations: await this.reading.list(session) };
  }

  @ApiOperation({ summary: 'One of them, with its members.' })
  @Get(':id')
  @ApiOkResponse({ type: ChatWithMembersDto })
  one(@Auth() session: Session, @Param('id') id: string): Promise<ChatWithMembersDto> {
    return this.reading.one(session, id);
  }

  @ApiOperation({ summary: 'Renames a group; for its owner and admins.' })
  @Patch(':id')
  @ApiOkResponse({ type: DoneDto })
  async rename(@Auth() session: Session, @Param('id') id: string, @Body() { name }: RenameChatDto): Promise<DoneDto> {
    await this.chats.rename(session, id, name);
    return DONE;
  }

  @ApiOperation({ summary: 'Ends a conversation for all; for its owner.' })
  @Delete(':id')
  @ApiOkResponse({ type: DoneDto })
  async end(@Auth() session: Session, @Param('id') id: string): Promise<DoneDto> {
    await this.chats.end(session, id);
    return DONE;
  }

  @ApiOperation({ summary: 'Leaves it. The last one to leave ends it.' })
  @Post(':id/leave')
  @HttpCode(200)
  @ApiBody({ required: false, schema: { type: 'object' }, description: 'None is needed' })
  @ApiOkResponse({ type: DoneDto })
  async leave(@Auth() session: Session, @Param('id') id: string): Promise<DoneDto> {
    await this.chats.leave(session, id);
    return DONE;
  }

  @ApiOperation({ summary: 'Who is in it, and who is invited.' })
  @Get(':id/members')
  @ApiOkResponse({ type: MembersDto })
  async members(@Auth() session: Session, @Param('id') id: string): Promise<MembersDto> {
    return { members: await this.reading.members(session, id) };
  }

  @ApiOperation({ summary: 'Gives a member of a group another role; for its owner.' })
  @Patch(':id/members/:userId')
  @ApiOkResponse({ type: DoneDto })
  async setRole(
    @Auth() session: Session,
    @Param('id') id: string,
    @Param('userId') userId: string,
    @Body() { role }: SetRoleDto,
  ): Promise<DoneDto> {
    await this.chats.setRole(session, id, userId, role);
    return DONE;
  }

  @ApiOperation({ summary: 'Removes somebody: an owner anyone, an admin members. They get nothing more.' })
  @Delete(':id/members/:userId')
  @ApiOkResponse({ type: DoneDto })
  async remove(@Auth() session: Session, @Param('id') id: string, @Param('userId') userId: string): Promise<DoneDto> {
    await this.chats.remove(session, id, userId);
    return DONE;
  }

  @ApiOperation({ summary: 'A new key for all, and with it a new epoch. The first for an epoch wins.' })
  @Post(':id/keys')
  @HttpCode(200)
  @ApiOkResponse({ type: DoneDto })
  async rotate(@Auth() session: Session, @Param('id') id: string, @Body() body: RotateDto): Promise<DoneDto> {
    await this.chats.rotate(session, id, body.epoch, body.keys);
    return DONE;
  }

  @ApiOperation({ summary: 'Gives a member keys that they have not got, for what was written before.' })
  @Post(':id/history-keys')
  @HttpCode(200)
  @ApiOkResponse({ type: DoneDto })
  async giveKeys(@Auth() session: Session, @Param('id') id: string, @Body() body: GiveKeysDto): Promise<DoneDto> {
    await this.chats.giveKeys(session, id, body.userId, body.keys);
    return DONE;
  }
}
