import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { ArrayMaxSize, IsArray, IsBoolean, IsIn, IsOptional, IsString, MaxLength, MinLength, ValidateNested } from 'class-validator'; // prettier-ignore
import { EpochKeyDto } from './chats.dto.js';
import { VouchText, WrappedKeyText } from './wire-texts.js';

const EPOCHS_AT_ONCE = 1000;

export class InviteDto {
  @ApiProperty({ description: 'The name of the person' })
  @IsString()
  @MinLength(1)
  @MaxLength(256)
  pseudo!: string;

  @WrappedKeyText({ description: 'The present key of the conversation, wrapped to their public key' }) key!: string;

  @ApiProperty({ type: String, required: false, description: 'A group; absent for the conversation of two with them' })
  @IsOptional()
  @IsString()
  conversationId?: string | null;

  @ApiProperty({
    type: Boolean,
    required: false,
    description: 'They see what was written before, too: the newest 5000',
  })
  @IsOptional()
  @IsBoolean()
  history?: boolean | null;

  @ApiProperty({ type: [EpochKeyDto], required: false, description: 'Keys of epochs before' })
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(EPOCHS_AT_ONCE)
  @ValidateNested({ each: true })
  @Type(() => EpochKeyDto)
  keys?: EpochKeyDto[] | null;

  @VouchText('What the inviter signs of the person')
  vouch?: string | null;
}

export class InvitedDto {
  @ApiProperty() invitation_id!: string;
  @ApiProperty() conversation_id!: string;
}

export class InviterDto {
  @ApiProperty() user_id!: string;
  @ApiProperty() pseudo!: string;
  @ApiProperty() public_key!: string;
}

export class InvitationDto {
  @ApiProperty() invitation_id!: string;
  @ApiProperty() conversation_id!: string;
  @ApiProperty({ type: String, nullable: true }) name!: string | null;
  @ApiProperty() group!: boolean;
  @ApiProperty({ type: InviterDto }) inviter!: InviterDto;
  @ApiProperty({ type: String, nullable: true, description: 'As the inviter wrapped it' }) key!: string | null;
  @ApiProperty({ description: 'ms since 1970' }) created_at!: number;
}

export class InvitationsDto {
  @ApiProperty({ type: [InvitationDto] }) invitations!: InvitationDto[];
}

export class RespondDto {
  @ApiProperty({ enum: ['accepted', 'declined'] })
  @IsIn(['accepted', 'declined'])
  response!: 'accepted' | 'declined';

  @VouchText('What the person signs of who invited them')
  vouch?: string | null;
}

export class RespondedDto {
  @ApiProperty() message!: string;
  @ApiProperty({ required: false, description: 'Of one that was accepted' }) conversation_id?: string;
}
