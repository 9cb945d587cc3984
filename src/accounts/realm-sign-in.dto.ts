import { ApiProperty } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean, IsOptional, IsString, Matches, MaxLength } from 'class-validator';

// Bodies and replies of wire.md, section C. How long emails and passwords may be, and what else makes them good, is said
// where they are taken; here they are bounded.

const CLIENT_ID = /^[^\p{Cc}\p{Cs}]{1,128}$/u;
const CLIENT_ID_RULE = { message: 'clientId must be 1 to 128 printable characters' };
const FLAGS = new Map<unknown, boolean>([0, '0', 'false'].map((no) => [no, false]));
for (const yes of [1, '1', 'true']) FLAGS.set(yes, true);

/** Existing clients keep their rows in SQLite, which knows 0 and 1. */
const Flag = () => Transform(({ value }: { value: unknown }) => FLAGS.get(value) ?? value);

export class RealmRegisterDto {
  @ApiProperty({ description: 'What the person is called; others may be called the same', maxLength: 200 })
  @IsString()
  @MaxLength(200)
  name!: string;

  @ApiProperty()
  @IsString()
  @MaxLength(254)
  email!: string;

  @ApiProperty()
  @IsString()
  @MaxLength(1024)
  password!: string;

  @ApiProperty({ description: 'Names the device among those of its person', minLength: 1, maxLength: 128 })
  @IsString()
  @Matches(CLIENT_ID, CLIENT_ID_RULE)
  clientId!: string;

  @ApiProperty({ type: String, required: false, maxLength: 35 })
  @IsOptional()
  @IsString()
  @MaxLength(35)
  language?: string | null;

  @ApiProperty({ type: String, required: false, description: 'JSON, for the list of devices', maxLength: 4096 })
  @IsOptional()
  @IsString()
  @MaxLength(4096)
  clientDescription?: string | null;

  @ApiProperty({
    type: Boolean,
    required: false,
    description:
      'true: only a new person (409 when the email is taken). false: only one who is registered (400 when not). ' +
      'Absent: either; a taken email with another password is a 409',
  })
  @Flag()
  @IsOptional()
  @IsBoolean()
  newRegistration?: boolean | null;

  @ApiProperty({
    type: String,
    required: false,
    description: 'Where the registration of the realm is `invite`',
    maxLength: 1024,
  })
  @IsOptional()
  @MaxLength(1024)
  @IsString()
  inviteToken?: string | null;

  @ApiProperty({
    type: Boolean,
    required: false,
    description: 'Deletes all records of the person before this client starts',
  })
  @Flag()
  @IsOptional()
  @IsBoolean()
  deleteRemoteData?: boolean | null;
}

export class RealmUnregisterDto {
  @ApiProperty({ type: String, required: false, description: 'With `password`, unless there is a Bearer token' })
  @IsOptional()
  @IsString()
  @MaxLength(254)
  email?: string | null;

  @ApiProperty({ type: String, required: false })
  @IsOptional()
  @IsString()
  @MaxLength(1024)
  password?: string | null;

  @ApiProperty({
    type: String,
    required: false,
    description: 'The device to remove; with a Bearer token, its own when absent',
  })
  @IsOptional()
  @IsString()
  @Matches(CLIENT_ID, CLIENT_ID_RULE)
  clientId?: string | null;
}

export class RealmLoginDto {
  @ApiProperty({ minLength: 1, maxLength: 128 })
  @IsString()
  @Matches(CLIENT_ID, CLIENT_ID_RULE)
  clientId!: string;
}

export class RefreshDto {
  @ApiProperty()
  @IsString()
  @MaxLength(4096)
  refreshToken!: string;
}

export class ForgottenPasswordDto {
  @ApiProperty()
  @IsString()
  @MaxLength(254)
  email!: string;
}

export class ChangePasswordByPinDto {
  @ApiProperty()
  @IsString()
  @MaxLength(254)
  email!: string;

  @ApiProperty({ description: 'The six digits that were sent' })
  @Transform(({ value }: { value: unknown }) => (typeof value === 'number' ? String(value).padStart(6, '0') : value))
  @IsString()
  @MaxLength(64)
  pin!: string;

  @ApiProperty({ type: String, required: false, description: 'The new one' })
  @IsOptional()
  @IsString()
  @MaxLength(1024)
  password?: string | null;

  @ApiProperty({ type: String, required: false, description: 'The new one, under another name' })
  @IsOptional()
  @IsString()
  @MaxLength(1024)
  newPassword?: string | null;
}

class RealmUserDto {
  @ApiProperty() id!: string;
  @ApiProperty({ description: 'The same as `id`' }) userid!: string;
  @ApiProperty() name!: string;
  @ApiProperty() email!: string;
  @ApiProperty({ nullable: true, type: String }) language!: string | null;
  @ApiProperty() clientid!: string;
}

export class RealmRegisterReply {
  @ApiProperty() message!: string;
  @ApiProperty({ type: RealmUserDto }) user!: RealmUserDto;
}

export class RealmUnregisterReply {
  @ApiProperty({ enum: [200] }) code!: 200;
  @ApiProperty() message!: string;
}

export class RealmTokensReply {
  @ApiProperty({ enum: ['Bearer'] }) token_type!: 'Bearer';
  @ApiProperty() access_token!: string;
  @ApiProperty({ description: 'Good for one use' }) refresh_token!: string;
  @ApiProperty({ description: 'Seconds until the access token ends' }) expires_in!: number;
  @ApiProperty({ description: 'When the access token ends, ms since 1970' }) expires_on!: number;
  @ApiProperty({ description: 'The same as `access_token`' }) accessToken!: string;
  @ApiProperty({ description: 'The same as `refresh_token`' }) refreshToken!: string;
}

export class SentenceReply {
  @ApiProperty() message!: string;
}
