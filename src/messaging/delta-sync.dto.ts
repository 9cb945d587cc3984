import { ApiProperty } from '@nestjs/swagger';

// For the documentation alone: thousands of rows are checked by hand (delta-sync.request.ts), which also tells the place
// of one that is wrong.

const UPDATED_AT = {
  oneOf: [{ type: 'number' }, { type: 'string', format: 'date-time' }],
  description:
    'ms since 1970, or ISO 8601 (UTC when it names no zone); answered as the request has it, in ms when it has none',
};
const IS_DELETED = { enum: [0, 1], description: '`true` and `false` are taken too' };

class DeltaConversationDto {
  @ApiProperty({ minLength: 1, maxLength: 255 }) id!: string;
  @ApiProperty({ description: 'Empty when deleted' }) name!: string;
  @ApiProperty(UPDATED_AT) updated_at!: number | string;
  @ApiProperty(IS_DELETED) is_deleted!: 0 | 1;
}

class DeltaMessageDto {
  @ApiProperty({ minLength: 1, maxLength: 255 }) id!: string;
  @ApiProperty({ minLength: 1, maxLength: 255 }) conversation_id!: string;
  @ApiProperty({ description: 'Empty when deleted' }) content!: string;
  @ApiProperty(UPDATED_AT) updated_at!: number | string;
  @ApiProperty(IS_DELETED) is_deleted!: 0 | 1;
}

class DeltaChangesDto {
  @ApiProperty({ type: [DeltaConversationDto] }) conversations!: DeltaConversationDto[];
  @ApiProperty({ type: [DeltaMessageDto] }) messages!: DeltaMessageDto[];
}

export class DeltaSyncDto {
  @ApiProperty({
    required: false,
    default: 0,
    description: 'The `new_sync_timestamp` of the last sync, an opaque integer; 0 or absent answers with everything',
  })
  last_sync_timestamp?: number;

  @ApiProperty({ required: false, description: 'What this client changed since; absent to read only' })
  client_changes?: DeltaChangesDto;
}

export class DeltaSyncedDto {
  @ApiProperty() server_changes!: DeltaChangesDto;
  @ApiProperty({ description: 'What to pass as `last_sync_timestamp` next' }) new_sync_timestamp!: number;
}
