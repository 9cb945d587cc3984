import { Body, Controller, Delete, Get, Head, Options, Param, Patch, Post, Res } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiHeader,
  ApiOkResponse,
  ApiOperation,
  ApiProduces,
  ApiResponse,
  ApiTags,
} from '@nestjs/swagger';
import type { Response } from 'express';
import { Auth } from '../sessions/auth.js';
import type { Session } from '../sessions/session.js';
import { Downloads } from './downloads.js';
import { FileLinks } from './file-links.js';
import { CreateFileLinkDto, FileLinkDto } from './files.dto.js';
import { Tus } from './tus.js';

const BYTES = { schema: { type: 'string', format: 'binary' } };
/** As OpenAPI has the headers of a reply. */
const headers = (...names: string[]) =>
  Object.fromEntries(names.map((name) => [name, { description: name, schema: { type: 'string' as const } }]));
const TusHeader = () => ApiHeader({ name: 'Tus-Resumable', required: true, schema: { enum: ['1.0.0'] } });

/** Files of an account (wire.md, section E): an upload's address is the download's. */
@ApiTags('files')
@ApiBearerAuth()
@Controller('api/files')
export class FilesController {
  constructor(
    private readonly tus: Tus,
    private readonly downloads: Downloads,
    private readonly links: FileLinks,
  ) {}

  @ApiOperation({ summary: 'Begins an upload (tus 1.0), with its first bytes if they come along.' })
  @TusHeader()
  @ApiHeader({
    name: 'Upload-Length',
    schema: { type: 'integer' },
    description: 'Bytes in all; not for what is joined',
  })
  @ApiHeader({
    name: 'Upload-Concat',
    description:
      '`partial` for a part; `final;` and the addresses of parts, parted by spaces, for what is joined from them',
  })
  @ApiHeader({
    name: 'Upload-Metadata',
    description: 'fileName, fileType, fileSize and conversationId, each with its value in base64, parted by commas',
  })
  @ApiConsumes('application/offset+octet-stream')
  @ApiBody({ ...BYTES, required: false })
  @ApiResponse({
    status: 201,
    description: '`Location` is where the bytes go, and where the file is then',
    headers: headers('Location', 'Upload-Offset', 'Upload-Expires'),
  })
  @Post()
  create(@Auth() session: Session, @Res() response: Response): Promise<void> {
    return this.tus.answer(session, response);
  }

  @ApiOperation({ summary: 'What of tus this server supports, and how large a file may be.' })
  @ApiResponse({
    status: 204,
    description: 'No content',
    headers: headers('Tus-Version', 'Tus-Extension', 'Tus-Max-Size', 'Tus-Checksum-Algorithm'),
  })
  @Options()
  support(@Auth() session: Session, @Res() response: Response): Promise<void> {
    return this.tus.answer(session, response);
  }

  @ApiOperation({ summary: 'How far an upload is, with Tus-Resumable; without it, what a download would say.' })
  @ApiHeader({ name: 'Tus-Resumable', schema: { enum: ['1.0.0'] } })
  @ApiOkResponse({
    description: '`Upload-Offset` and the like, or the headers of the download',
    headers: headers(
      'Upload-Offset',
      'Upload-Length',
      'Upload-Metadata',
      'Upload-Concat',
      'ETag',
      'Content-Disposition',
      'Accept-Ranges',
    ),
  })
  @Head(':id')
  look(@Auth() session: Session, @Res() response: Response, @Param('id') id: string): Promise<void> {
    const isTus = response.req.get('Tus-Resumable') !== undefined;
    return isTus ? this.tus.answer(session, response, id) : this.downloads.send(session.account, response, id);
  }

  @ApiOperation({ summary: 'Adds bytes to an upload, from its offset on.' })
  @TusHeader()
  @ApiHeader({ name: 'Upload-Offset', required: true, schema: { type: 'integer' } })
  @ApiHeader({ name: 'Upload-Checksum', description: '`sha1` or `sha256`, and the digest of these bytes in base64' })
  @ApiConsumes('application/offset+octet-stream')
  @ApiBody(BYTES)
  @ApiResponse({
    status: 204,
    description: '`Upload-Offset` is how many bytes there are on disk',
    headers: headers('Upload-Offset', 'Upload-Expires'),
  })
  @Patch(':id')
  add(@Auth() session: Session, @Res() response: Response, @Param('id') id: string): Promise<void> {
    return this.tus.answer(session, response, id);
  }

  @ApiOperation({ summary: 'Deletes a file, or gives an upload up.' })
  @TusHeader()
  @ApiResponse({ status: 204, description: 'Its bytes are gone', headers: headers('Tus-Resumable') })
  @Delete(':id')
  remove(@Auth() session: Session, @Res() response: Response, @Param('id') id: string): Promise<void> {
    return this.tus.answer(session, response, id);
  }

  @ApiOperation({ summary: 'The bytes of a file, as they were uploaded; `Range` takes a part.' })
  @ApiHeader({ name: 'Range', description: 'One range, as `bytes=0-499` or `bytes=500-`' })
  @ApiProduces('application/octet-stream')
  @ApiOkResponse({ description: 'The bytes', ...BYTES })
  @ApiResponse({ status: 206, description: 'The bytes of the range', ...BYTES })
  @Get(':id')
  download(@Auth() { account }: Session, @Res() response: Response, @Param('id') id: string): Promise<void> {
    return this.downloads.send(account, response, id);
  }

  @ApiOperation({
    summary: 'A link to a file that needs no token for a while: as long as this session lasts, at most.',
  })
  @ApiCreatedResponse({ type: FileLinkDto })
  @Post(':id/link')
  link(
    @Auth() session: Session,
    @Param('id') id: string,
    @Body() { expiresIn }: CreateFileLinkDto,
  ): Promise<FileLinkDto> {
    return this.links.create(session, id, expiresIn ?? 300);
  }
}
