import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  ArrayNotEmpty,
  ArrayUnique,
  IsArray,
  IsDate,
  IsIn,
  IsOptional,
  IsString,
  Length,
  MaxDate,
} from 'class-validator';
import { SCOPES, type Scope } from './session.js';

/** Postgres prints later years with a sign. */
const LATEST = new Date('9999-12-31T23:59:59.999Z');

export class CreateApiKeyDto {
  @ApiProperty({ minLength: 1, maxLength: 200 })
  @IsString()
  @Length(1, 200)
  name!: string;

  @ApiProperty({ required: false, enum: SCOPES, isArray: true, description: 'All of them when absent' })
  @IsOptional()
  @IsArray()
  @ArrayNotEmpty()
  @ArrayUnique()
  @IsIn(SCOPES, { each: true })
  scopes?: Scope[] | null;

  @ApiProperty({ required: false, type: String, format: 'date-time', description: 'Never when absent' })
  @IsOptional()
  @Type(() => Date)
  @IsDate()
  @MaxDate(LATEST)
  expiresAt?: Date | null;
}

export class ApiKeyDto {
  @ApiProperty() id!: string;
  @ApiProperty() name!: string;
  @ApiProperty({ enum: SCOPES, isArray: true }) scopes!: Scope[];
  @ApiProperty({ format: 'date-time' }) createdAt!: string;
  @ApiProperty({ type: String, format: 'date-time', nullable: true, description: 'To the minute' })
  lastUsedAt!: string | null;
  @ApiProperty({ type: String, format: 'date-time', nullable: true }) expiresAt!: string | null;
}

export class NewApiKeyDto extends ApiKeyDto {
  @ApiProperty({ description: 'The key: told here and never again' }) apiKey!: string;
}

export class ApiKeysDto {
  @ApiProperty({ type: [ApiKeyDto] }) keys!: ApiKeyDto[];
}
