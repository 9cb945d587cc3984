import { ApiProperty } from '@nestjs/swagger';

export class BlockDto {
  @ApiProperty() user_id!: string;
}

export class BlocksDto {
  @ApiProperty({ type: [BlockDto] }) blocks!: BlockDto[];
}
