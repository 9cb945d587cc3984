import { Body, Controller, Headers, HttpCode, Param, Post } from '@nestjs/common';
import { ApiBasicAuth, ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Address, Public } from '../sessions/auth.js';
import {
  ChangePasswordByPinDto,
  ForgottenPasswordDto,
  RealmLoginDto,
  RealmRegisterDto,
  RealmRegisterReply,
  RealmTokensReply,
  RealmUnregisterDto,
  RealmUnregisterReply,
  RefreshDto,
  SentenceReply,
} from './realm-sign-in.dto.js';
import { RealmSignIn } from './realm-sign-in.service.js';

/** The guard has refused every realm that is not there before any of these is called. */
@ApiTags('table sync')
@Public()
@Controller()
export class RealmSignInController {
  constructor(private readonly signIn: RealmSignIn) {}

  @ApiOperation({ summary: 'Registers a person, or another client of one who is registered.' })
  @Post('register/:realm')
  @HttpCode(200)
  @ApiOkResponse({ type: RealmRegisterReply })
  register(
    @Param('realm') realm: string,
    @Body() body: RealmRegisterDto,
    @Address() address: string,
  ): Promise<RealmRegisterReply> {
    return this.signIn.register(realm, body, address);
  }

  @ApiOperation({ summary: 'Removes a client, by its Bearer token or by email and password. The rows stay.' })
  @ApiBearerAuth()
  @Post('unregister/:realm')
  @HttpCode(200)
  @ApiOkResponse({ type: RealmUnregisterReply })
  unregister(
    @Param('realm') realm: string,
    @Headers('authorization') authorization: string | undefined,
    @Body() body: RealmUnregisterDto,
    @Address() address: string,
  ): Promise<RealmUnregisterReply> {
    return this.signIn.unregister(realm, authorization, body, address);
  }

  @ApiOperation({ summary: 'Signs a client in: email and password stand in the Authorization header (Basic).' })
  @ApiBasicAuth()
  @Post('login/:realm')
  @HttpCode(200)
  @ApiOkResponse({ type: RealmTokensReply })
  login(
    @Param('realm') realm: string,
    @Headers('authorization') authorization: string | undefined,
    @Body() { clientId }: RealmLoginDto,
    @Address() address: string,
  ): Promise<RealmTokensReply> {
    return this.signIn.login(realm, authorization, clientId, address);
  }

  @ApiOperation({ summary: 'The next two tokens. A refresh token is good once; using it again ends the session.' })
  @Post('login/:realm/refreshToken')
  @HttpCode(200)
  @ApiOkResponse({ type: RealmTokensReply })
  refresh(
    @Param('realm') realm: string,
    @Body() { refreshToken }: RefreshDto,
    @Address() address: string,
  ): Promise<RealmTokensReply> {
    return this.signIn.refresh(realm, refreshToken, address);
  }

  @ApiOperation({
    summary: 'Mails a code for another password, if the email is registered. The answer is always the same.',
  })
  @Post('password/:realm/forgotten')
  @HttpCode(200)
  @ApiOkResponse({ type: SentenceReply })
  forgotten(
    @Param('realm') realm: string,
    @Body() { email }: ForgottenPasswordDto,
    @Address() address: string,
  ): Promise<SentenceReply> {
    return this.signIn.forgotten(realm, email, address);
  }

  @ApiOperation({ summary: 'Sets another password by the code that was mailed, and ends every session.' })
  @Post('password/:realm/change')
  @HttpCode(200)
  @ApiOkResponse({ type: SentenceReply })
  changePassword(
    @Param('realm') realm: string,
    @Body() body: ChangePasswordByPinDto,
    @Address() address: string,
  ): Promise<SentenceReply> {
    return this.signIn.changePassword(realm, body, address);
  }
}
