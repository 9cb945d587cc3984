import { ApiProperty } from '@nestjs/swagger';
import { IsInt, IsOptional, Max, Min } from 'class-validator';

const MAX_LINK_SECONDS = 86_400;

export class CreateFileLinkDto {
  @ApiProperty({ required: false, minimum: 1, maximum: MAX_LINK_SECONDS, default: 300, description: 'Seconds' })
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(MAX_LINK_SECONDS)
  expiresIn?: number | null;
}

export class FileLinkDto {
  @ApiProperty({ description: "A path at the server's address" }) url!: string;
  @ApiProperty({ description: 'ms since 1970' }) expiresAt!: number;
}
