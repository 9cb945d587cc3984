import { ApiProperty } from '@nestjs/swagger';

// For the documentation alone: what comes in is read by table-request.ts.

class AnnouncedDto {
  @ApiProperty({ enum: ['I', 'U', 'D'], description: '`insert`, `update` and `delete` are taken too' })
  operation!: string;
  @ApiProperty({ format: 'uuid', description: '`data.guid` is taken too' }) rowguid!: string;
  @ApiProperty({ description: '`table` is taken too', maxLength: 255 }) tablename!: string;
  @ApiProperty({
    oneOf: [{ type: 'number' }, { type: 'string' }],
    description: 'When the client changed the row: ms since 1970, or ISO 8601. Dates from the future count as now',
  })
  clientdate!: number | string;
}

class PushedDto extends AnnouncedDto {
  @ApiProperty({
    description: 'Any JSON, up to 32 levels deep; comes back as it came. Not needed for D',
    required: false,
  })
  rowData?: unknown;
}

class SyncDto {
  @ApiProperty({ required: false, description: 'The client that signed in; another one is refused' }) clientId?: string;
  @ApiProperty({
    required: false,
    default: 0,
    description: 'What the server answered last; `lastSyncTime` is taken too',
  })
  lastSync?: number;
  @ApiProperty({ required: false, enum: [0, 1], description: '1 on all parts but the last' }) isPartial?: number;
}

export class PullDto extends SyncDto {
  @ApiProperty({ type: [AnnouncedDto], required: false }) changes?: AnnouncedDto[];
}

export class PushDto extends SyncDto {
  @ApiProperty({ type: [PushedDto], required: false }) changes?: PushedDto[];
}

class PulledRowDto {
  @ApiProperty({ format: 'uuid', description: 'The account' }) userid!: string;
  @ApiProperty({ description: 'The number of the row’s last change' }) id!: number;
  @ApiProperty() rowguid!: string;
  @ApiProperty({
    enum: ['I', 'U', 'D'],
    description: 'I and U alike: put the row. I is said to a client that knows nothing yet',
  })
  operation!: string;
  @ApiProperty() tablename!: string;
  @ApiProperty({ oneOf: [{ type: 'number' }, { type: 'string' }], description: 'In the form it came' }) clientdate!:
    number | string;
  @ApiProperty({ format: 'date-time' }) serverdate!: string;
  @ApiProperty({ description: 'The client that wrote it' }) clientid!: string;
  @ApiProperty({ nullable: true, type: Object, description: 'null for D' }) rowData!: unknown;
}

export class PulledDto {
  @ApiProperty({ description: 'What to pass next' }) lastSync!: number;
  @ApiProperty() clientId!: string;
  @ApiProperty({ description: 'Announced changes that have lost: their rows are in `data`' })
  outdatedRowsGuid!: string[];
  @ApiProperty({ type: [PulledRowDto] }) data!: PulledRowDto[];
}

export class PushedAnswerDto {
  @ApiProperty({ description: 'What to pass next: never past what another client wrote and this one was not told' })
  lastSync!: number;
  @ApiProperty({ description: 'Pushed changes that changed nothing, for a newer row stands' })
  outdatedRowsGuid!: string[];
}

export class CancelDto {
  @ApiProperty({ required: false, description: 'The client that signed in' }) clientId?: string;
}
