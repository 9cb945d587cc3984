import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, Max, Min } from 'class-validator';

const MAX_LIMIT = 1000;
const MAX_WAIT_SECONDS = 60;

export class CursorQuery {
  @ApiProperty({ required: false, default: 0, description: 'The cursor of the last page; 0 begins with everything' })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  after: number = 0;

  @ApiProperty({ required: false, default: 500, minimum: 1, maximum: MAX_LIMIT })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(MAX_LIMIT)
  limit: number = 500;
}

export class ChangesQuery extends CursorQuery {
  @ApiProperty({
    required: false,
    default: 0,
    maximum: MAX_WAIT_SECONDS,
    description: 'Seconds to wait when there is nothing yet',
  })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(0)
  @Max(MAX_WAIT_SECONDS)
  wait: number = 0;
}

class ChangeDto {
  @ApiProperty({ description: 'The number of the row’s last change' }) seq!: number;
  @ApiProperty({ enum: ['device', 'conversation', 'message', 'state', 'record'] }) kind!: string;
  @ApiProperty() id!: string;
  @ApiProperty({ enum: ['put', 'delete'] }) op!: 'put' | 'delete';
  @ApiProperty({ description: 'ms since 1970' }) at!: number;
  @ApiProperty({ required: false, type: Object, description: 'The whole row; absent for a delete' }) row?: object;
}

export class ChangesDto {
  @ApiProperty({ type: [ChangeDto] }) changes!: ChangeDto[];
  @ApiProperty({ description: 'What to pass as `after` next' }) cursor!: number;
  @ApiProperty({ description: 'Whether more is there already' }) more!: boolean;
}

export class SnapshotDto extends ChangesDto {
  @ApiProperty({ required: false, description: 'The `after` of the next page of the snapshot; absent on the last' })
  next?: number;
}
