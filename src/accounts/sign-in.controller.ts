import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { DEFAULT_REALM } from '../env.js';
import { relayError } from '../errors.js';
import { Accounts, type Login, type Person } from '../sessions/accounts.service.js';
import { Address, Auth, Public } from '../sessions/auth.js';
import { Codes } from './codes.service.js';
import { readDeviceInfo } from './device-info.js';
import type { Session } from '../sessions/session.js';
import {
  RegisterDto,
  RequestCodeDto,
  SentReply,
  SignedInReply,
  SignInDto,
  VerifyCodeDto,
  WhoReply,
} from './sign-in.dto.js';
import { fingerprintOf } from './public-person.js';
import { SignIn } from './sign-in.service.js';

/** Signing in to the realm `default` (wire.md, sections B, D and E). */
@ApiTags('signing in')
@Controller('api/auth')
export class SignInController {
  constructor(
    private readonly signIn: SignIn,
    private readonly codes: Codes,
    private readonly accounts: Accounts,
  ) {}

  @ApiOperation({ summary: 'A new account, by email or by name, and a session for the device that asks.' })
  @Public()
  @Post('register')
  @ApiCreatedResponse({ type: SignedInReply })
  async register(@Address() address: string, @Body() body: RegisterDto): Promise<SignedInReply> {
    const { email, pseudo: name, public_key: publicKey, password, inviteToken } = body;
    const device = readDeviceInfo(body.deviceInfo);
    const person = given({ email, name, publicKey });
    const account = await this.signIn.register(DEFAULT_REALM, person, password, { address, inviteToken });
    return this.begin('Account created', (await this.accounts.loginOf(account))!, device, address);
  }

  @ApiOperation({ summary: 'A session for the device that asks, by email or by name.' })
  @Public()
  @Post('login')
  @HttpCode(200)
  @ApiOkResponse({ type: SignedInReply })
  async login(@Address() address: string, @Body() body: SignInDto): Promise<SignedInReply> {
    const device = readDeviceInfo(body.deviceInfo);
    const login = await this.signIn.withPassword(DEFAULT_REALM, byOf(body), body.password, address);
    return this.begin('Signed in', login, device, address);
  }

  @ApiOperation({ summary: 'Sends a code of six digits by mail. Answers the same whether anybody gets one.' })
  @Public()
  @Post('request-otp')
  @HttpCode(200)
  @ApiOkResponse({ type: SentReply })
  async requestCode(@Address() address: string, @Body() { email }: RequestCodeDto): Promise<SentReply> {
    await this.codes.send(DEFAULT_REALM, email, 'sign-in', address);
    return { message: 'If this email can sign in here, a code is on its way' };
  }

  @ApiOperation({ summary: 'A session by the code that was sent; an unknown email gets an account.' })
  @Public()
  @Post('verify-otp')
  @HttpCode(200)
  @ApiOkResponse({ type: SignedInReply })
  async verifyCode(@Address() address: string, @Body() { email, otp, ...body }: VerifyCodeDto): Promise<SignedInReply> {
    const device = readDeviceInfo(body.deviceInfo);
    const login = await this.signIn.withCode(DEFAULT_REALM, email, otp.trim(), address);
    return this.begin('Signed in', login, device, address);
  }

  @ApiOperation({ summary: 'Whose session it is.' })
  @ApiBearerAuth()
  @Get('check')
  @ApiOkResponse({ type: WhoReply })
  async check(@Auth() { account, deviceId }: Session): Promise<WhoReply> {
    return who(account.id, deviceId, (await this.accounts.loginOf(account))?.person);
  }

  private async begin(
    message: string,
    login: Login,
    device: ReturnType<typeof readDeviceInfo>,
    address: string,
  ): Promise<SignedInReply> {
    const { session, token } = await this.signIn.begin(login, device, address);
    return { message, token, expiresAt: session.expiresAt!, ...who(login.account.id, session.deviceId, login.person) };
  }
}

function byOf({ email, pseudo }: SignInDto): { email: string } | { name: string } {
  if (email != null) return { email };
  if (pseudo != null) return { name: pseudo };
  throw relayError('bad_request', { detail: 'email or pseudo is required' });
}

function who(userId: string, deviceId: string, { email, name: pseudo, publicKey: public_key }: Person = {}): WhoReply {
  const fingerprint = public_key && fingerprintOf(public_key);
  return { userId, user_id: userId, deviceId, ...given({ email, pseudo, public_key, fingerprint }) };
}

/** Without what was not given. */
function given<T extends object>(fields: T): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value != null)) as {
    [K in keyof T]: NonNullable<T[K]>;
  };
}
