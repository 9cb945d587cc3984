import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { Allow, ArrayMaxSize, IsArray, IsInt, IsOptional, Matches, Max, Min } from 'class-validator';
import { ContentText, IdText, OptionalEpoch } from './wire-texts.js';

const FILES_OF_MESSAGE = 100;

export class PostDto {
  @ContentText() @Allow() messageContent!: unknown;

  @IdText({
    required: false,
    description: 'Chosen by the client, so that it can send again: not `.` or `..`; a new one when absent',
  })
  @IsOptional()
  messageId?: string | null;

  @OptionalEpoch() epoch?: number | null;

  @ApiProperty({ type: [String], required: false, description: 'Uploads of the author; they go with the message' })
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(FILES_OF_MESSAGE)
  // As uploads are named: the same id in capitals names none.
  @Matches(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, { each: true })
  files?: string[] | null;
}

export class PostedDto {
  @ApiProperty() message_id!: string;
  @ApiProperty({ description: 'Its place: the same for all members' }) number!: number;
}

export class EditDto {
  @ContentText() @Allow() messageContent!: unknown;
  @OptionalEpoch() epoch?: number | null;
}

export class ReactDto {
  @ContentText() @Allow() content!: unknown;
  @OptionalEpoch() epoch?: number | null;
}

export class MarksDto {
  @ApiProperty({ type: Number, required: false, description: 'Number of the newest message that has arrived' })
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  delivered?: number | null;

  @ApiProperty({ type: Number, required: false, description: 'Number of the newest message that was read' })
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  read?: number | null;
}

export class PageQuery {
  @ApiProperty({ required: false, minimum: 1, maximum: 100, default: 10 })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(100)
  limit: number = 10;
}

export class SenderDto {
  @ApiProperty() user_id!: string;
  @ApiProperty() pseudo!: string;
}

export class ReactionDto {
  @ApiProperty() user_id!: string;
  @ApiProperty() content!: string;
  @ApiProperty({ required: false }) epoch?: number;
  @ApiProperty({ description: 'ms since 1970' }) timestamp!: number;
}

export class ChatMessageDto {
  @ApiProperty() message_id!: string;
  @ApiProperty() conversation_id!: string;
  @ApiProperty({ type: SenderDto }) sender!: SenderDto;
  @ApiProperty() messageContent!: string;
  @ApiProperty({ description: 'ms since 1970' }) timestamp!: number;
  @ApiProperty({ required: false, description: 'ms since 1970' }) edited_at?: number;
  @ApiProperty({ description: 'Its place: the same for all members' }) number!: number;
  @ApiProperty({ required: false }) epoch?: number;
  @ApiProperty({ type: [String], required: false }) files?: string[];
  @ApiProperty({ type: [ReactionDto], required: false }) reactions?: ReactionDto[];
}

export class ChatMessagesDto {
  @ApiProperty({ type: [ChatMessageDto], description: 'The newest first' }) messages!: ChatMessageDto[];
}
