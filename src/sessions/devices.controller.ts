import { Body, Controller, Delete, Get, Param, Patch } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Auth } from './auth.js';
import { DevicesDto, DoneDto, RenameDeviceDto } from './devices.dto.js';
import { Devices } from './devices.service.js';
import { LastSeen } from './last-seen.js';
import type { Session } from './session.js';

@ApiTags('devices')
@ApiBearerAuth()
@Controller('api/devices')
export class DevicesController {
  constructor(
    private readonly devices: Devices,
    private readonly lastSeen: LastSeen,
  ) {}

  @ApiOperation({
    summary: 'The devices of the account: its phone, the browsers that the phone let in, and those that signed in.',
  })
  @Get()
  @ApiOkResponse({ type: DevicesDto })
  async list(@Auth() session: Session): Promise<DevicesDto> {
    await this.lastSeen.flush();
    return { devices: await this.devices.list(session) };
  }

  @ApiOperation({ summary: 'Gives a device another name.' })
  @Patch(':id')
  @ApiOkResponse({ type: DoneDto })
  async rename(@Auth() session: Session, @Param('id') id: string, @Body() { name }: RenameDeviceDto): Promise<DoneDto> {
    await this.devices.rename(session, id, name);
    return { success: true };
  }

  @ApiOperation({ summary: 'Removes a device: its tokens stop working and its connections close at once.' })
  @Delete(':id')
  @ApiOkResponse({ type: DoneDto })
  async revoke(@Auth() session: Session, @Param('id') id: string): Promise<DoneDto> {
    await this.devices.revoke(session, id);
    return { success: true };
  }
}
