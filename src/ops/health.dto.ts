import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';

export class AboutDto {
  @ApiProperty({ enum: [true] }) success!: true;
  @ApiProperty() message!: string;
  @ApiProperty() version!: string;
  @ApiProperty({ format: 'date-time' }) timestamp!: string;
}

export class AliveDto {
  @ApiProperty({ enum: ['ok'] }) status!: 'ok';
}

export class HealthDto {
  @ApiProperty({ enum: ['healthy'] }) status!: 'healthy';
  @ApiProperty({ format: 'date-time' }) timestamp!: string;
  @ApiProperty({ description: 'Signed-in sockets and streams that are open' }) activeConnections!: number;
}

class QueueDto {
  @ApiProperty({ description: 'Whether it takes more' }) ok!: boolean;
  @ApiProperty({ description: 'Writes that wait to be committed' }) rows!: number;
  @ApiProperty() bytes!: number;
}

export class ReadinessDto {
  @ApiProperty() ready!: boolean;
  @ApiProperty({ description: 'Whether the database answers' }) database!: boolean;
  @ApiProperty({ description: 'Whether it has the schema of this version' }) migrations!: boolean;
  @ApiProperty() queue!: QueueDto;
  @ApiPropertyOptional({ description: 'With REDIS_URL: whether Redis is there. Without it a server goes on by itself' })
  redis?: boolean;
}
