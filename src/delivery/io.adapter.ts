import type { INestApplication } from '@nestjs/common';
import { IoAdapter } from '@nestjs/platform-socket.io';
import type { ServerOptions } from 'socket.io';
import type { Env } from '../env.js';

/**
 * Nest's adapter binds each handler of each socket through a chain of rxjs operators, which costs as much CPU a message as
 * Socket.IO itself. Ours binds none: the gateway hears all of a socket's events in one place (`RelayGateway`).
 */
export class RelayIoAdapter extends IoAdapter {
  constructor(
    app: INestApplication,
    private readonly env: Env,
  ) {
    super(app);
  }

  override createIOServer(port: number, options?: ServerOptions) {
    return super.createIOServer(port, {
      ...options,
      // Twice the bound that is told as an error: what is larger still ends the connection while it is being read.
      maxHttpBufferSize: this.env.limits.maxFrameBytes * 2,
      cors: { origin: this.env.corsOrigin },
      serveClient: false,
      // The cursor resumes better, and across nodes; Socket.IO's own recovery stays off.
      connectionStateRecovery: undefined,
      // Upgrades that are not its own the door of /ws takes or refuses, at once.
      destroyUpgrade: false,
    } as unknown as ServerOptions);
  }

  override bindMessageHandlers(): void {}
}
