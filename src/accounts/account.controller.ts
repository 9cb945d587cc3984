import { Body, Controller, Delete, Get, HttpCode, Post, Put, Query, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import {
  AccountDto,
  AddEmailDto,
  DeleteAccountDto,
  EventsDto,
  EventsQuery,
  JoinDto,
  JoinReply,
  SendCodeDto,
  SetNameDto,
  SetPasswordDto,
  SetPasswordReply,
} from './account.dto.js';
import { AccountEvents } from '../sessions/account-events.js';
import { AccountExport } from './account-export.js';
import { AccountJoin } from './account-join.js';
import { Address, Auth } from '../sessions/auth.js';
import { DoneDto } from '../sessions/devices.dto.js';
import { OwnAccount } from './own-account.js';
import type { Session } from '../sessions/session.js';

/** An account in its owner's hands; for every device of it, and no API key. */
@ApiTags('account')
@ApiBearerAuth()
@Controller('api/account')
export class AccountController {
  constructor(
    private readonly own: OwnAccount,
    private readonly events: AccountEvents,
    private readonly exports: AccountExport,
    private readonly joins: AccountJoin,
  ) {}

  @ApiOperation({ summary: 'Whose account it is, and what it has.' })
  @Get()
  @ApiOkResponse({ type: AccountDto })
  view(@Auth() session: Session): Promise<AccountDto> {
    return this.own.view(session);
  }

  @ApiOperation({ summary: 'Who signed in, from where, what was revoked or changed: the newest first.' })
  @Get('events')
  @ApiOkResponse({ type: EventsDto })
  async listEvents(@Auth() { account }: Session, @Query() { limit, before }: EventsQuery): Promise<EventsDto> {
    return { events: await this.events.list(account, limit, before) };
  }

  @ApiOperation({
    summary: 'Everything the account has, as JSON lines `{type, row}`; the last is `{type:"end", rows}`.',
  })
  @Get('export')
  @ApiProduces('application/x-ndjson')
  @ApiOkResponse({ schema: { type: 'string' } })
  export(@Auth() session: Session, @Res() response: Response): Promise<void> {
    return this.exports.write(session, response);
  }

  @ApiOperation({
    summary: 'Deletes the account with all it has, for good: its devices, sessions and keys end at once.',
  })
  @Delete()
  @ApiOkResponse({ type: DoneDto })
  async delete(
    @Auth() session: Session,
    @Address() address: string,
    @Body() { password }: DeleteAccountDto,
  ): Promise<DoneDto> {
    await this.own.delete(session, password, address);
    return { success: true };
  }

  @ApiOperation({ summary: 'Sends a code to an email that is to be added to the account.' })
  @Post('email')
  @HttpCode(200)
  @ApiOkResponse({ type: DoneDto })
  async sendCode(
    @Auth() session: Session,
    @Address() address: string,
    @Body() { email }: SendCodeDto,
  ): Promise<DoneDto> {
    await this.own.sendCode(session, email, address);
    return { success: true };
  }

  @ApiOperation({ summary: 'Adds the email, by the code that was sent to it; from then on one can sign in with it.' })
  @Post('email/confirm')
  @HttpCode(200)
  @ApiOkResponse({ type: DoneDto })
  async addEmail(@Auth() session: Session, @Address() address: string, @Body() body: AddEmailDto): Promise<DoneDto> {
    await this.own.addEmail(session, body.email, body.code.trim(), address, body.currentPassword);
    return { success: true };
  }

  @ApiOperation({ summary: 'The name to sign in by; with the first password, if the account has none.' })
  @Put('name')
  @ApiOkResponse({ type: DoneDto })
  async setName(@Auth() session: Session, @Address() address: string, @Body() body: SetNameDto): Promise<DoneDto> {
    await this.own.setName(session, body.name, body, address);
    return { success: true };
  }

  @ApiOperation({ summary: 'A new password, or the first. Ends the sessions of all browsers.' })
  @Put('password')
  @ApiOkResponse({ type: SetPasswordReply })
  async setPassword(
    @Auth() session: Session,
    @Address() address: string,
    @Body() { password, currentPassword }: SetPasswordDto,
  ): Promise<SetPasswordReply> {
    return { success: true, ...(await this.own.setPassword(session, password, currentPassword, address)) };
  }

  @ApiOperation({ summary: 'Makes this account and that of another token one. All tokens and keys of both go on.' })
  @Post('join')
  @HttpCode(200)
  @ApiOkResponse({ type: JoinReply })
  join(@Auth() session: Session, @Address() address: string, @Body() body: JoinDto): Promise<JoinReply> {
    return this.joins.join(session, body.token, body.currentPassword, address);
  }
}
