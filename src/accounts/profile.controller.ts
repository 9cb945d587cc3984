import { Body, Controller, Delete, Get, Header, Param, Put, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Address, Auth } from '../sessions/auth.js';
import { DoneDto } from '../sessions/devices.dto.js';
import type { Session } from '../sessions/session.js';
import { SetPasswordReply } from './account.dto.js';
import { OwnAccount } from './own-account.js';
import { People } from './people.js';
import {
  ChangeKeyDto,
  ChangeKeyReply,
  ChangePasswordDto,
  FoundPersonDto,
  HideDto,
  HideReply,
  SearchQuery,
} from './profile.dto.js';
import { Profile } from './profile.service.js';
import type { PublicPerson } from './public-person.js';

/** What others see of a person, and who they are (wire.md, section E). */
@ApiTags('profile')
@ApiBearerAuth()
@Controller('api/profile')
export class ProfileController {
  constructor(
    private readonly profile: Profile,
    private readonly people: People,
    private readonly own: OwnAccount,
  ) {}

  @ApiOperation({ summary: 'A new password. Ends the sessions of all other browsers.' })
  @Put('update')
  @ApiOkResponse({ type: SetPasswordReply })
  async update(
    @Auth() session: Session,
    @Address() address: string,
    @Body() { password, new_password: next }: ChangePasswordDto,
  ): Promise<SetPasswordReply> {
    return { success: true, ...(await this.own.setPassword(session, next, password, address, { sparing: true })) };
  }

  @ApiOperation({ summary: 'Hides from searches, or comes back: for clients that exist. `PUT` can say which.' })
  @Get('hide')
  @Header('Cache-Control', 'no-store')
  @ApiOkResponse({ type: HideReply })
  async toggle(@Auth() session: Session): Promise<HideReply> {
    return { success: true, ...(await this.profile.hide(session)) };
  }

  @ApiOperation({ summary: 'Hides from searches, or comes back.' })
  @Put('hide')
  @ApiOkResponse({ type: HideReply })
  async hide(@Auth() session: Session, @Body() { hide }: HideDto): Promise<HideReply> {
    return { success: true, ...(await this.profile.hide(session, hide ?? undefined)) };
  }

  @ApiOperation({ summary: 'Deletes the account, for good: as `DELETE /api/account`, but nothing more is asked for.' })
  @Delete('remove')
  @ApiOkResponse({ type: DoneDto })
  async remove(@Auth() session: Session): Promise<DoneDto> {
    await this.own.remove(session);
    return { success: true };
  }

  @ApiOperation({ summary: 'People by name: at most 50, without those who hide, those without a key, and who asks.' })
  @Get('search/:pseudo')
  @ApiOkResponse({ type: [FoundPersonDto] })
  async search(
    @Auth() session: Session,
    @Address() address: string,
    @Param('pseudo') name: string,
    @Query() { method }: SearchQuery,
  ): Promise<FoundPersonDto[]> {
    return (await this.people.search(session, name, method, address)).map(toFound);
  }

  @ApiOperation({ summary: 'Another key that others seal to. Those who share a conversation are told.' })
  @Put('public-key')
  @ApiOkResponse({ type: ChangeKeyReply })
  async changeKey(
    @Auth() session: Session,
    @Address() address: string,
    @Body() { public_key: key, signature }: ChangeKeyDto,
  ): Promise<ChangeKeyReply> {
    return { success: true, ...(await this.profile.changeKey(session, key, signature, address)) };
  }
}

function toFound({ name, publicKey, userId, fingerprint }: PublicPerson): FoundPersonDto {
  return { pseudo: name, public_key: publicKey, user_id: userId, fingerprint };
}
