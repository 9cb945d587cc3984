import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsIn,
  IsOptional,
  IsUUID,
  Matches,
  ValidateNested,
} from 'class-validator';
import type { MemberState, Role } from './chat.js';
import { EpochNumber, WrappedKeyText } from './wire-texts.js';

const ROLES = ['owner', 'admin', 'member'] as const;
const STATES = ['invited', 'accepted', 'declined', 'left', 'removed'] as const;
/** Opaque: native clients seal it. */
const NAME = /^[^\p{Cc}\p{Cs}]{1,1024}$/u;
const EPOCHS_AT_ONCE = 1000;
const MEMBERS_AT_ONCE = 10_000;

export class CreateChatDto {
  @ApiProperty({ type: String, required: false, maxLength: 1024, description: 'Printable; not looked into' })
  @IsOptional()
  @Matches(NAME)
  name?: string | null;
}

export class ChatIdDto {
  @ApiProperty() conversation_id!: string;
}

export class RenameChatDto {
  @ApiProperty({ minLength: 1, maxLength: 1024, description: 'Printable; not looked into' })
  @Matches(NAME)
  name!: string;
}

export class ChatDto {
  @ApiProperty() conversation_id!: string;
  @ApiProperty({ type: String, nullable: true }) name!: string | null;
  @ApiProperty({ description: 'false for a conversation of two' }) group!: boolean;
  @ApiProperty({ enum: ROLES, description: 'Of the one who asks' }) role!: Role;
  @ApiProperty({ description: 'Of the present key' }) epoch!: number;
  @ApiProperty({ description: 'ms since 1970' }) created_at!: number;
  @ApiProperty({ description: 'What others wrote since one read, or wrote, oneself; at most 1000' })
  unread_count!: number;
  @ApiProperty({ required: false, description: 'The present key, wrapped to the one who asks' }) key?: string;
}

export class ChatsDto {
  @ApiProperty({ type: [ChatDto], description: 'The oldest first' }) conversations!: ChatDto[];
}

export class MemberDto {
  @ApiProperty() user_id!: string;
  @ApiProperty({ description: 'Their name' }) pseudo!: string;
  @ApiProperty() public_key!: string;
  @ApiProperty({ description: 'SHA-256 of the public key, in hex' }) fingerprint!: string;
  @ApiProperty({ enum: ROLES }) role!: Role;
  @ApiProperty({ enum: STATES }) state!: MemberState;
}

export class MembersDto {
  @ApiProperty({ type: [MemberDto], description: 'Those who are in, and those who are invited' })
  members!: MemberDto[];
}

export class ChatWithMembersDto extends ChatDto {
  @ApiProperty({ type: [MemberDto] }) members!: MemberDto[];
}

export class SetRoleDto {
  @ApiProperty({ enum: ROLES, description: '`owner` hands the conversation over' })
  @IsIn(ROLES)
  role!: Role;
}

export class MemberKeyDto {
  @ApiProperty() @IsUUID() userId!: string;
  @WrappedKeyText() key!: string;
}

export class RotateDto {
  @EpochNumber() epoch!: number;

  @ApiProperty({ type: [MemberKeyDto], description: 'One for each who is in or invited, and for nobody else' })
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MEMBERS_AT_ONCE)
  @ValidateNested({ each: true })
  @Type(() => MemberKeyDto)
  keys!: MemberKeyDto[];
}

export class EpochKeyDto {
  @EpochNumber() epoch!: number;
  @WrappedKeyText() key!: string;
}

export class GiveKeysDto {
  @ApiProperty() @IsUUID() userId!: string;

  @ApiProperty({ type: [EpochKeyDto], description: 'Of epochs that there are; one that they have already stays' })
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(EPOCHS_AT_ONCE)
  @ValidateNested({ each: true })
  @Type(() => EpochKeyDto)
  keys!: EpochKeyDto[];
}
