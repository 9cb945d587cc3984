import { Body, Controller, Get, Param, Post, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { Auth } from '../sessions/auth.js';
import type { Session } from '../sessions/session.js';
import { ChatReading } from './chat-reading.js';
import { InvitationsDto, InvitedDto, InviteDto, RespondDto, RespondedDto } from './invitations.dto.js';
import { Invitations } from './invitations.service.js';

@ApiTags('conversations')
@ApiBearerAuth()
@Controller('api/conversations')
export class InvitationsController {
  constructor(
    private readonly inviting: Invitations,
    private readonly reading: ChatReading,
  ) {}

  @ApiOperation({ summary: 'Invites somebody into a group, or into a conversation of two.' })
  @Post('invite')
  @ApiCreatedResponse({ type: InvitedDto })
  @ApiOkResponse({ type: InvitedDto, description: 'They were invited already: the same invitation' })
  async invite(
    @Auth() session: Session,
    @Body() { pseudo, key, conversationId, history, keys, vouch }: InviteDto,
    @Res({ passthrough: true }) response: Response,
  ): Promise<InvitedDto> {
    const wanted = { pseudo, key, conversationId: conversationId ?? undefined, history: history ?? undefined, keys: keys ?? undefined, vouch: vouch ?? undefined }; // prettier-ignore
    const { again, ...invited } = await this.inviting.invite(session, wanted);
    response.status(again ? 200 : 201);
    return invited;
  }

  @ApiOperation({ summary: 'The invitations that wait for an answer.' })
  @Get('invitations')
  @ApiOkResponse({ type: InvitationsDto })
  async list(@Auth() session: Session): Promise<InvitationsDto> {
    return { invitations: await this.reading.invitations(session) };
  }

  @ApiOperation({ summary: 'Answers an invitation, once.' })
  @Post('invitations/:id/respond')
  @ApiCreatedResponse({ type: RespondedDto, description: 'Accepted' })
  @ApiOkResponse({ type: RespondedDto, description: 'Declined' })
  async respond(
    @Auth() session: Session,
    @Param('id') id: string,
    @Body() body: RespondDto,
    @Res({ passthrough: true }) response: Response,
  ): Promise<RespondedDto> {
    const accepted = body.response === 'accepted';
    const conversation_id = await this.inviting.answer(session, id, accepted, body.vouch ?? undefined);
    response.status(accepted ? 201 : 200);
    return accepted ? { message: 'Invitation accepted', conversation_id } : { message: 'Invitation declined' };
  }
}
