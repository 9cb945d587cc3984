import { ApiProperty } from '@nestjs/swagger';
import { IsBoolean, IsIn, IsOptional, IsString, MaxLength } from 'class-validator';
import { MAX_PUBLIC_KEY } from './credentials.js';
import { SEARCH_METHODS, type SearchMethod } from './people.js';

export class ChangePasswordDto {
  @ApiProperty({ description: 'The present one' })
  @MaxLength(1024)
  @IsString({ message: 'password is required' })
  password!: string;

  @ApiProperty()
  @MaxLength(1024)
  @IsString({ message: 'new_password is required' })
  new_password!: string;
}

export class HideDto {
  @ApiProperty({ type: Boolean, required: false, description: 'Absent: otherwise than before' })
  @IsOptional()
  @IsBoolean()
  hide?: boolean | null;
}

export class HideReply {
  @ApiProperty({ enum: [true] }) success!: true;
  @ApiProperty({ description: 'Whether searches leave the person out now' }) hide!: boolean;
}

export class SearchQuery {
  @ApiProperty({ enum: SEARCH_METHODS, required: false, default: 'startsWith' })
  @IsOptional()
  @IsIn(SEARCH_METHODS)
  method: SearchMethod = 'startsWith';
}

export class FoundPersonDto {
  @ApiProperty() pseudo!: string;
  @ApiProperty() public_key!: string;
  @ApiProperty() user_id!: string;
  @ApiProperty({ description: 'SHA-256 of the key, in lowercase hex' }) fingerprint!: string;
}

export class ChangeKeyDto {
  @ApiProperty({ minLength: 1, maxLength: MAX_PUBLIC_KEY, description: 'What others seal to: printable text' })
  @IsString({ message: 'public_key is required' })
  public_key!: string;

  @ApiProperty({
    type: String,
    required: false,
    maxLength: 1024,
    description: 'By the key before: the server keeps it for others to check, and does not look into it',
  })
  @IsOptional()
  @MaxLength(1024)
  @IsString()
  signature?: string | null;
}

export class ChangeKeyReply {
  @ApiProperty({ enum: [true] }) success!: true;
  @ApiProperty({ description: 'SHA-256 of the key, in lowercase hex' }) fingerprint!: string;
}
