import { Controller, Get, Header, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProduces, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { Metrics } from '../metrics.js';
import { Public } from '../sessions/auth.js';
import { VERSION } from '../version.js';
import { AboutDto, AliveDto, HealthDto, ReadinessDto } from './health.dto.js';
import { Readiness } from './readiness.js';

@ApiTags('operations')
@Public()
@Controller()
export class HealthController {
  constructor(
    private readonly readiness: Readiness,
    private readonly metrics: Metrics,
  ) {}

  @ApiOperation({ summary: 'What answers here.' })
  @Get()
  @ApiOkResponse({ type: AboutDto })
  about(): AboutDto {
    return about();
  }

  @ApiOperation({ summary: 'The same, where existing clients ask.' })
  @Get('api/auth/health')
  @ApiOkResponse({ type: AboutDto })
  health(): AboutDto {
    return about();
  }

  @ApiOperation({ summary: 'The process is alive; how many are connected.' })
  @Get('api/health')
  @ApiOkResponse({ type: HealthDto })
  async healthy(): Promise<HealthDto> {
    return {
      status: 'healthy',
      timestamp: new Date().toISOString(),
      activeConnections: await this.metrics.connections(),
    };
  }

  @ApiOperation({ summary: 'The process is alive.' })
  @Get('healthz')
  @ApiOkResponse({ type: AliveDto })
  alive(): AliveDto {
    return { status: 'ok' };
  }

  @ApiOperation({ summary: '200 when it can serve, 503 when it cannot; the body says what is missing.' })
  @Get('readyz')
  @ApiOkResponse({ type: ReadinessDto })
  @ApiServiceUnavailableResponse({ type: ReadinessDto })
  async ready(@Res({ passthrough: true }) response: Response): Promise<ReadinessDto> {
    const report = await this.readiness.report();
    response.status(report.ready ? 200 : 503);
    return report;
  }

  @ApiOperation({ summary: 'Figures for Prometheus.' })
  @Get('metrics')
  @Header('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
  @ApiProduces('text/plain')
  @ApiOkResponse({ type: String })
  figures(): Promise<string> {
    return this.metrics.registry.metrics();
  }
}

function about(): AboutDto {
  return { success: true, message: 'Pairline is running', version: VERSION, timestamp: new Date().toISOString() };
}
