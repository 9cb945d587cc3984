import { Controller, Get, Header, Param, Res } from '@nestjs/common';
import { ApiHeader, ApiOkResponse, ApiOperation, ApiProduces, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { Public } from '../sessions/auth.js';
import { FileLinks } from './file-links.js';

const BYTES = { schema: { type: 'string', format: 'binary' } };

/** Files for who has a link to them. */
@ApiTags('files')
@Controller('api/file-links')
export class FileLinksController {
  constructor(private readonly links: FileLinks) {}

  @ApiOperation({ summary: 'The bytes of a file, by a link; `Range` takes a part.' })
  @ApiHeader({ name: 'Range', description: 'One range, as `bytes=0-499` or `bytes=500-`' })
  @ApiProduces('application/octet-stream')
  @ApiOkResponse({ description: 'The bytes', ...BYTES })
  @ApiResponse({ status: 206, description: 'The bytes of the range', ...BYTES })
  // The link is all it takes, wherever the page is from that shows it.
  @Header('Cross-Origin-Resource-Policy', 'cross-origin')
  @Public()
  @Get(':link')
  send(@Param('link') link: string, @Res() response: Response): Promise<void> {
    return this.links.send(link, response);
  }
}
