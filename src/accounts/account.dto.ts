import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { Equals, IsInt, IsOptional, IsString, Max, MaxLength, Min, MinLength } from 'class-validator';
import { ACCOUNT_EVENTS, type AccountEventName } from '../sessions/account-events.js';

const CURRENT = 'The present password, of an account that has one';

export class AccountDto {
  @ApiProperty() userId!: string;
  @ApiProperty() realm!: string;
  @ApiProperty({ required: false }) email?: string;
  @ApiProperty({ required: false, description: 'To sign in by' }) name?: string;
  @ApiProperty({ required: false, description: 'What the person calls themselves' }) displayName?: string;
  @ApiProperty({ required: false }) language?: string;
  @ApiProperty({ required: false, description: 'What others seal to' }) publicKey?: string;
  @ApiProperty({ required: false, description: 'SHA-256 of `publicKey`, in lowercase hex' }) fingerprint?: string;
  @ApiProperty({ required: false, description: 'The key before the last change' }) previousKey?: string;
  @ApiProperty({ required: false, description: 'By the key before, of the present one' }) keySignature?: string;
  @ApiProperty({ required: false, description: 'Whether searches leave them out' }) hidden?: boolean;
  @ApiProperty({ description: 'ms since 1970' }) createdAt!: number;
  @ApiProperty() hasPassword!: boolean;
  @ApiProperty({ description: 'How many, phones among them' }) devices!: number;
  @ApiProperty() phones!: number;
}

export class EventsQuery {
  @ApiProperty({ required: false, minimum: 1, maximum: 500, default: 100 })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(500)
  limit: number = 100;

  @ApiProperty({ required: false, description: 'The `number` of an event: those before it' })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  before?: number;
}

export class EventDto {
  @ApiProperty({ enum: ACCOUNT_EVENTS }) event!: AccountEventName;
  @ApiProperty({ description: 'ms since 1970' }) at!: number;
  @ApiProperty({ description: 'What to pass as `before` for earlier ones' }) number!: number;
  @ApiProperty({ required: false, description: 'Where it came from' }) address?: string;
  @ApiProperty({ required: false, description: 'What the device or the key is called' }) name?: string;
  @ApiProperty({ required: false, description: 'The id of the device or the key' }) id?: string;
}

export class EventsDto {
  @ApiProperty({ type: [EventDto], description: 'The newest first' }) events!: EventDto[];
}

export class DeleteAccountDto {
  @ApiProperty({ enum: [true], description: 'It cannot be undone, so a request has to say that it is meant' })
  @Equals(true)
  confirm!: true;

  @ApiProperty({ type: String, required: false, description: CURRENT })
  @IsOptional()
  @IsString()
  @MaxLength(1024)
  password?: string | null;
}

export class SendCodeDto {
  @ApiProperty()
  @IsString()
  @MaxLength(254)
  email!: string;
}

export class AddEmailDto extends SendCodeDto {
  @ApiProperty({ description: 'The six digits that were sent' })
  @IsString()
  @MaxLength(64)
  code!: string;

  @ApiProperty({ type: String, required: false, description: CURRENT })
  @IsOptional()
  @IsString()
  @MaxLength(1024)
  currentPassword?: string | null;
}

export class SetNameDto {
  @ApiProperty({ description: '1 to 64 printable characters' })
  @IsString()
  @MaxLength(256)
  name!: string;

  @ApiProperty({ type: String, required: false, description: 'The first password, of an account that has none' })
  @IsOptional()
  @IsString()
  @MaxLength(1024)
  password?: string | null;

  @ApiProperty({ type: String, required: false, description: CURRENT })
  @IsOptional()
  @IsString()
  @MaxLength(1024)
  currentPassword?: string | null;
}

export class SetPasswordDto {
  @ApiProperty()
  @IsString()
  @MaxLength(1024)
  password!: string;

  @ApiProperty({ type: String, required: false, description: CURRENT })
  @IsOptional()
  @IsString()
  @MaxLength(1024)
  currentPassword?: string | null;
}

export class SetPasswordReply {
  @ApiProperty({ enum: [true] }) success!: true;
  @ApiProperty({ required: false, description: 'What a browser goes on with: the token that it had has ended' })
  token?: string;
}

export class JoinDto {
  @ApiProperty({ description: 'A token of the other account: of a session or of a phone' })
  @IsString()
  @MinLength(1)
  @MaxLength(4096)
  token!: string;

  @ApiProperty({
    type: String,
    required: false,
    description: 'The present password, of the account of both that has one',
  })
  @IsOptional()
  @IsString()
  @MaxLength(1024)
  currentPassword?: string | null;
}

export class JoinReply {
  @ApiProperty({ description: 'The account that both are now' }) userId!: string;
  @ApiProperty({ description: 'false when they were one already' }) joined!: boolean;
}
