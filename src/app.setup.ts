import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import helmet from 'helmet';
import { pinoHttp } from 'pino-http';
import { nameBodyError } from './app.filter.js';
import { AppModule } from './app.module.js';
import { Dtos } from './app.pipe.js';
import { RelayIoAdapter } from './delivery/io.adapter.js';
import type { BootEnv } from './env.js';
import { nestLogger, requestLogging, type Log } from './log.js';
import { VERSION } from './version.js';
import { WEB_FOLDER, webClient } from './web/web-client.js';

/** The whole server, not listening yet: the same for `main` and for tests. */
export async function createApp(env: BootEnv, log: Log, webFolder = WEB_FOLDER): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(AppModule.of(env, log), {
    bodyParser: false,
    logger: nestLogger(log),
    forceCloseConnections: true,
  });
  app.use(pinoHttp(requestLogging(log)));
  app.set('trust proxy', env.trustProxy);
  app.disable('x-powered-by');
  // Replies are of the moment: hashing each for a tag that nobody sends back costs more than making it.
  app.disable('etag');
  app.useBodyParser('json', { limit: env.limits.maxBodyBytes });
  app.use(nameBodyError);
  app.use(
    helmet({
      // Plain http on a home network is served too: nothing may be upgraded to an https that is not there.
      contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
      strictTransportSecurity: env.publicUrl?.startsWith('https:') ?? false,
    }),
  );
  app.enableCors({ origin: env.corsOrigin, exposedHeaders: ['Pairing-Token', 'Retry-After', 'X-Request-Id'] });
  app.use(webClient(webFolder));
  app.useGlobalPipes(new Dtos());
  app.useWebSocketAdapter(new RelayIoAdapter(app, env));
  serveDocs(app);
  return app;
}

const ERROR_SCHEMA = {
  type: 'object',
  required: ['success', 'code', 'message', 'error', 'requestId'],
  properties: {
    success: { type: 'boolean', enum: [false] },
    code: { type: 'string', description: 'Stable, snake_case; see docs/protocol.md' },
    message: { type: 'string', description: 'The same in a sentence' },
    error: { type: 'string', description: 'The same as `message`' },
    requestId: { type: 'string' },
    retryAfter: { type: 'number', description: 'Seconds after which trying again makes sense' },
  },
};

function serveDocs(app: NestExpressApplication): void {
  const config = new DocumentBuilder()
    .setTitle('Pairline')
    .setDescription('The REST side. Events over Socket.IO are described in docs/protocol.md.')
    .setVersion(VERSION)
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .addGlobalResponse({ status: 'default', description: 'Every error', schema: ERROR_SCHEMA })
    .addBearerAuth({ type: 'http', description: 'A session token of a browser, or the device token of a phone' })
    .build();
  SwaggerModule.setup('docs', app, () => SwaggerModule.createDocument(app, config), {
    jsonDocumentUrl: 'docs/json',
    customSiteTitle: 'Pairline',
  });
}
