import { Body, Controller, Delete, Get, Param, Patch, Post, Put, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Auth } from '../sessions/auth.js';
import { DoneDto } from '../sessions/devices.dto.js';
import type { Session } from '../sessions/session.js';
import { ChatMessagesDto, EditDto, MarksDto, PageQuery, PostDto, PostedDto, ReactDto } from './chat-messages.dto.js';
import { ChatMessages } from './chat-messages.service.js';
import { MessageReading } from './message-reading.js';

const DONE: DoneDto = { success: true };

/** What is written in conversations (wire.md, section E). */
@ApiTags('conversations')
@ApiBearerAuth()
@Controller('api/conversations/:id')
export class ChatMessagesController {
  constructor(
    private readonly messages: ChatMessages,
    private readonly reading: MessageReading,
  ) {}

  @ApiOperation({ summary: 'Posts a message to all members.' })
  @Post('messages')
  @ApiCreatedResponse({ type: PostedDto })
  post(@Auth() session: Session, @Param('id') id: string, @Body() body: PostDto): Promise<PostedDto> {
    const { messageContent: content, messageId, epoch, files } = body;
    return this.messages.post(session, id, {
      content,
      messageId: messageId ?? undefined,
      epoch: epoch ?? undefined,
      files: files ?? undefined,
    });
  }

  @ApiOperation({ summary: 'The newest messages.' })
  @Get('messages')
  @ApiOkResponse({ type: ChatMessagesDto })
  async newest(
    @Auth() session: Session,
    @Param('id') id: string,
    @Query() { limit }: PageQuery,
  ): Promise<ChatMessagesDto> {
    return { messages: await this.reading.page(session, id, limit) };
  }

  @ApiOperation({ summary: 'The newest messages of those before one.' })
  @Get('messages/:messageId')
  @ApiOkResponse({ type: ChatMessagesDto })
  async before(
    @Auth() session: Session,
    @Param('id') id: string,
    @Param('messageId') beforeId: string,
    @Query() { limit }: PageQuery,
  ): Promise<ChatMessagesDto> {
    return { messages: await this.reading.page(session, id, limit, beforeId) };
  }

  @ApiOperation({ summary: 'Edits a message; for its author, for a time.' })
  @Patch('messages/:messageId')
  @ApiOkResponse({ type: DoneDto })
  async edit(
    @Auth() session: Session,
    @Param('id') id: string,
    @Param('messageId') messageId: string,
    @Body() { messageContent: content, epoch }: EditDto,
  ): Promise<DoneDto> {
    await this.messages.edit(session, id, messageId, { content, epoch: epoch ?? undefined });
    return DONE;
  }

  @ApiOperation({
    summary: 'Deletes a message for everyone: its author for a time, owner and admins of a group always.',
  })
  @Delete('messages/:messageId')
  @ApiOkResponse({ type: DoneDto })
  async remove(
    @Auth() session: Session,
    @Param('id') id: string,
    @Param('messageId') messageId: string,
  ): Promise<DoneDto> {
    await this.messages.remove(session, id, messageId);
    return DONE;
  }

  @ApiOperation({ summary: 'Reacts to a message. One has one reaction to each; the last stands.' })
  @Put('messages/:messageId/reaction')
  @ApiOkResponse({ type: DoneDto })
  async react(
    @Auth() session: Session,
    @Param('id') id: string,
    @Param('messageId') messageId: string,
    @Body() { content, epoch }: ReactDto,
  ): Promise<DoneDto> {
    await this.messages.react(session, id, messageId, { content: content ?? '', epoch: epoch ?? undefined });
    return DONE;
  }

  @ApiOperation({ summary: 'Takes a reaction back.' })
  @Delete('messages/:messageId/reaction')
  @ApiOkResponse({ type: DoneDto })
  async takeBack(
    @Auth() session: Session,
    @Param('id') id: string,
    @Param('messageId') messageId: string,
  ): Promise<DoneDto> {
    await this.messages.react(session, id, messageId, { content: null });
    return DONE;
  }

  @ApiOperation({ summary: 'How far one has got, and read: only ever forward.' })
  @Put('marks')
  @ApiOkResponse({ type: DoneDto })
  async mark(
    @Auth() session: Session,
    @Param('id') id: string,
    @Body() { delivered, read }: MarksDto,
  ): Promise<DoneDto> {
    await this.messages.mark(session, id, { delivered: delivered ?? undefined, read: read ?? undefined });
    return DONE;
  }
}
