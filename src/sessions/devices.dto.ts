import { ApiProperty } from '@nestjs/swagger';
import { IsString, Length } from 'class-validator';

export class RenameDeviceDto {
  @ApiProperty({ minLength: 1, maxLength: 200 })
  @IsString()
  @Length(1, 200)
  name!: string;
}

export class DeviceDto {
  @ApiProperty() id!: string;
  @ApiProperty({ description: 'The account’s id' }) user_id!: string;
  @ApiProperty({ enum: ['phone', 'browser'] }) kind!: 'phone' | 'browser';
  @ApiProperty() name!: string;
  @ApiProperty({ required: false }) model?: string;
  @ApiProperty({ description: 'What it says of its kind (`web`, `desktop`, …), else its `kind`' }) type!: string;
  @ApiProperty({ type: 'object', additionalProperties: {}, description: 'What else it says of itself' })
  metadata!: Record<string, unknown>;
  @ApiProperty({ format: 'date-time' }) last_seen!: string;
  @ApiProperty({ description: 'ms since 1970' }) createdAt!: number;
  @ApiProperty({ description: 'ms since 1970' }) lastSeen!: number;
  @ApiProperty({ description: 'Whether it is the device that asks' }) current!: boolean;
}

export class DevicesDto {
  @ApiProperty({ type: [DeviceDto] }) devices!: DeviceDto[];
}

export class DoneDto {
  @ApiProperty({ enum: [true] }) success!: true;
}
