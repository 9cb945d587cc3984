import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { IsNotEmpty, IsObject, IsOptional, IsString, MaxLength } from 'class-validator';
import { MAX_PUBLIC_KEY } from './credentials.js';

// The checks run from the last line up, so that what is no text is told so before its length. What a password or a name
// has to be is told in `credentials.ts`.
const MAX_EMAIL = 254;

const deviceInfo = {
  type: 'object',
  properties: {},
  additionalProperties: true,
  selfRequired: false,
  description:
    'What the device says of itself: {deviceId?, name?, type?, …}; deviceId is what it was told the last time. At most 16 KiB',
} satisfies ApiPropertyOptions;

/** By email, or by name. */
export class SignInDto {
  @ApiProperty({ required: false, maxLength: MAX_EMAIL })
  @IsOptional()
  @MaxLength(MAX_EMAIL)
  @IsString()
  email?: string;

  @ApiProperty({ required: false, maxLength: 64, description: 'The name, where there is no email' })
  @IsOptional()
  @MaxLength(MAX_EMAIL)
  @IsString()
  pseudo?: string;

  @ApiProperty({ minLength: 6, maxLength: 1024 })
  @IsNotEmpty({ message: 'password is required' })
  @IsString({ message: 'password is required' })
  password!: string;

  @ApiProperty(deviceInfo)
  @IsOptional()
  @IsObject()
  deviceInfo?: Record<string, unknown>;
}

export class RegisterDto extends SignInDto {
  @ApiProperty({ required: false, description: 'What others seal to', minLength: 1, maxLength: MAX_PUBLIC_KEY })
  @IsOptional()
  @IsString()
  public_key?: string;

  @ApiProperty({ type: String, required: false, description: 'Where REGISTRATION=invite' })
  @IsOptional()
  @MaxLength(1024)
  @IsString()
  inviteToken?: string | null;
}

export class RequestCodeDto {
  @ApiProperty({ maxLength: MAX_EMAIL })
  @MaxLength(MAX_EMAIL)
  @IsString({ message: 'email is required' })
  email!: string;
}

export class VerifyCodeDto extends RequestCodeDto {
  @ApiProperty({ description: 'The six digits' })
  @MaxLength(64)
  @IsString({ message: 'otp is required' })
  otp!: string;

  @ApiProperty(deviceInfo)
  @IsOptional()
  @IsObject()
  deviceInfo?: Record<string, unknown>;
}

export class SentReply {
  @ApiProperty() message!: string;
}

/** Who somebody is, in the words of all existing clients. */
export class WhoReply {
  @ApiProperty() userId!: string;
  @ApiProperty({ description: 'The same as `userId`' }) user_id!: string;
  @ApiProperty({ description: 'Of the device that asks, or signed in: what to present the next time' })
  deviceId!: string;
  @ApiProperty({ required: false }) email?: string;
  @ApiProperty({ required: false }) pseudo?: string;
  @ApiProperty({ required: false }) public_key?: string;
  @ApiProperty({ required: false, description: 'Of the public key: SHA-256 in lowercase hex' }) fingerprint?: string;
}

export class SignedInReply extends WhoReply {
  @ApiProperty() message!: string;
  @ApiProperty({ description: 'A JWT: as a Bearer token, and in the handshake of a socket' }) token!: string;
  @ApiProperty({ description: 'ms since 1970' }) expiresAt!: number;
}
