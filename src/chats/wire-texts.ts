import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { IsInt, IsOptional, Matches, Max, Min } from 'class-validator';

// Texts and numbers of which several requests have one, in DTOs. Lengths are in characters.

/** A key that somebody wrapped for another: not looked into. */
export const WrappedKeyText = (options: ApiPropertyOptions = {}) =>
  applyDecorators(
    ApiProperty({
      type: String,
      minLength: 1,
      maxLength: 8192,
      description: 'Wrapped to their public key',
      ...options,
    }),
    Matches(/^[^\p{Cc}\p{Cs}]{1,8192}$/u),
  );

/** What a member signs of another: not looked into. */
export const VouchText = (description: string) =>
  applyDecorators(
    ApiProperty({
      type: String,
      required: false,
      minLength: 1,
      maxLength: 512,
      description: `${description}; not looked into`,
    }),
    IsOptional(),
    Matches(/^[^\p{Cc}\p{Cs}]{1,512}$/u),
  );

/** Text that can be stored and compared as it is. */
export const IdText = (options: ApiPropertyOptions = {}) =>
  applyDecorators(
    ApiProperty({ type: String, minLength: 1, maxLength: 128, ...options }),
    Matches(/^[^\0\p{Cs}]{1,128}$/u),
  );

/** The content of a message or a reaction; the service says what is wrong with it. */
export const ContentText = () =>
  ApiProperty({
    type: String,
    format: 'byte',
    minLength: 40,
    description: 'Base64 of at least 28 bytes; not looked into',
  });

export const EpochNumber = () =>
  applyDecorators(
    ApiProperty({
      type: Number,
      minimum: 1,
      description: 'Of the key that seals it; absent for clients that have one key',
    }),
    IsInt(),
    Min(1),
    Max(2 ** 31),
  );

export const OptionalEpoch = () =>
  applyDecorators(
    ApiProperty({ type: Number, required: false, minimum: 1, description: 'Of the key that it is sealed with' }),
    IsOptional(),
    IsInt(),
    Min(1),
    Max(2 ** 31),
  );
