import { ApiProperty } from '@nestjs/swagger';

export class SessionDataDto {
  @ApiProperty({
    type: 'object',
    additionalProperties: {},
    description: 'Session key → state, any JSON value of at most 256 KiB',
    example: { cart: { items: 3 } },
  })
  sessionData!: Record<string, unknown>;
}
