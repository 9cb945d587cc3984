import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { asyncApi } from './delivery/asyncapi.js';
import { ErrorBody } from './delivery/server-events.js';
import type { BootEnv } from './env.js';
import { VERSION } from './version.js';

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;
type ContentObject = Record<string, { schema: { $ref: string } }>;
type Parameter = Extract<NonNullable<Operation['parameters']>[number], { name: string }>;

/** `/docs` for people; `/docs/json` is the REST side as OpenAPI, `/docs/asyncapi.json` the events as AsyncAPI. */
export function serveDocs(app: NestExpressApplication, env: BootEnv): void {
  const events = asyncApi(env);
  app
    .getHttpAdapter()
    .getInstance()
    .get('/docs/asyncapi.json', (_, response) => void response.json(events));
  SwaggerModule.setup('docs', app, () => openApi(app), { jsonDocumentUrl: 'docs/json', customSiteTitle: 'Pairline' });
}

/** What any route of its kind can answer; all else is 4XX and 5XX. */
function refusals({ requestBody, parameters = [], security = [] }: Operation): [status: string, description: string][] {
  const isClosed = security.some((one) => 'bearer' in one || 'basic' in one);
  const hasPath = parameters.some((one) => 'in' in one && one.in === 'path');
  const told: [boolean, string, string][] = [
    [requestBody !== undefined || parameters.length > 0, '400', 'Something in the request does not fit'],
    [isClosed, '401', 'No token or password, or one that is not good'],
    [isClosed, '403', 'The token may not do this'],
    [hasPath, '404', 'What the path names is not there'],
    [requestBody !== undefined, '413', 'The body is too large'],
  ];
  return told.flatMap(([applies, status, description]) => (applies ? [[status, description]] : []));
}

function openApi(app: NestExpressApplication): OpenAPIObject {
  const { title: name, ...schema } = ErrorBody;
  const error = { schema: { $ref: `#/components/schemas/${name}` } };
  const config = new DocumentBuilder()
    .setTitle('Pairline')
    .setDescription('The REST side. The events over Socket.IO are in `/docs/asyncapi.json`.')
    .setVersion(VERSION)
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .addServer('/', 'This server')
    .addGlobalResponse({ status: '4XX', description: 'The request is refused; `code` says why', ...error })
    .addGlobalResponse({ status: '5XX', description: 'The server cannot do it now', ...error })
    .addBearerAuth({ type: 'http', description: 'A session token, the device token of a phone, or an API key' })
    .addBasicAuth({ type: 'http', description: 'An email or name, and its password' })
    // As the guard has it: closed, unless a route is `@Public()`.
    .addSecurityRequirements('bearer')
    .build();
  const document = SwaggerModule.createDocument(app, config);
  document.components!.schemas![name!] = JSON.parse(JSON.stringify(schema)) as object;
  for (const [path, item] of Object.entries(document.paths))
    for (const operation of Object.values(item) as Operation[])
      complete(operation, path, { 'application/json': error });
  return document;
}

function complete(operation: Operation, path: string, content: ContentObject): void {
  // A handler of two paths gets the parameters of both: each path has its own.
  const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, param]) => param!);
  const told = (operation.parameters ?? []) as Parameter[];
  const missing = named.filter((param) => told.every(({ name }) => name !== param));
  operation.parameters = [
    ...told.filter(({ name, in: place }) => place !== 'path' || named.includes(name)),
    ...missing.map((name) => ({ name, in: 'path' as const, required: true, schema: { type: 'string' } })),
  ];
  // `@Public()` means no Bearer token: a route that asks for Basic still asks.
  if (operation.security?.some((one) => 'basic' in one)) operation.security = [{ basic: [] }];
  for (const [status, description] of refusals(operation)) operation.responses[status] ??= { description, content };
}
