import type { IncomingMessage } from 'node:http';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Request } from 'express';
import helmet from 'helmet';
import { serveDocs } from './app.docs.js';
import { nameBodyError } from './app.filter.js';
import { AppModule } from './app.module.js';
import { Dtos } from './app.pipe.js';
import { RelayIoAdapter } from './delivery/io.adapter.js';
import type { BootEnv } from './env.js';
import { logRequests, nestLogger, type Log } from './log.js';
import { WEB_FOLDER, webClient } from './web/web-client.js';

/** What pages of other origins (CORS_ORIGIN) may read of a reply. */
const OWN_HEADERS = ['Pairing-Token', 'Retry-After', 'X-Request-Id'];
const FILE_HEADERS = [
  ...[
    'Location',
    'Tus-Resumable',
    'Tus-Version',
    'Upload-Offset',
    'Upload-Length',
    'Upload-Metadata',
    'Upload-Expires',
    'Upload-Concat',
  ],
  ...['Accept-Ranges', 'Content-Disposition', 'Content-Range', 'ETag'],
];

/** The whole server, not listening yet: the same for `main` and for tests. */
export async function createApp(env: BootEnv, log: Log, webFolder = WEB_FOLDER): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(AppModule.of(env, log), {
    bodyParser: false,
    logger: nestLogger(log),
    forceCloseConnections: true,
  });
  app.use(logRequests(log));
  app.set('trust proxy', env.trustProxy);
  app.disable('x-powered-by');
  // Replies are of the moment: hashing each for a tag that nobody sends back costs more than making it.
  app.disable('etag');
  app.useBodyParser('json', { limit: env.limits.maxBodyBytes, type: isJson });
  app.use(nameBodyError);
  app.use(
    helmet({
      // Plain http on a home network is served too: nothing may be upgraded to an https that is not there.
      contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
      strictTransportSecurity: env.publicUrl?.startsWith('https:') ?? false,
    }),
  );
  app.enableCors({ origin: env.corsOrigin, exposedHeaders: [...OWN_HEADERS, ...FILE_HEADERS] });
  app.use(webClient(webFolder));
  app.useGlobalPipes(new Dtos());
  app.useWebSocketAdapter(new RelayIoAdapter(app, env));
  serveDocs(app, env);
  return app;
}

/** But for pushes of table sync (wire.md, section C): they may be large, and are read once it is known whose they are. */
function isJson(request: IncomingMessage): boolean {
  const { path, headers } = request as Request;
  return !/^\/push\//i.test(path) && /^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '');
}
