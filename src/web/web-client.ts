import { stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Request, RequestHandler, Response } from 'express';

/** Where the build of `web/` is, seen from src/web as from dist/web. */
export const WEB_FOLDER = fileURLToPath(new URL('../../web/dist/', import.meta.url));

const START_PAGE = 'index.html';
/** A file right in the folder, or right in its assets. No route of the API has a dot in its first part. */
const FILE = /^\/((?:assets\/)?[\w-]+(?:\.[\w-]+)+)$/;
/** As the build leaves them beside a file. Brotli first: clients that take both rate them alike, and it is smaller. */
const CODINGS = { br: '.br', gzip: '.gz' };
const NO_SUCH_FILE: unknown[] = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'];

const NOT_BUILT = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width" />
    <title>Pairline</title>
  </head>
  <body>
    <h1>Pairline is running</h1>
    <p>Its web client is not built yet. In the folder of the server, run <code>npm run build</code>, then load this page again.</p>
    <p>The API is there already: <a href="/docs">its documentation</a>.</p>
  </body>
</html>
`;

/**
 * Serves the built web client: its page at `/` to who asks for HTML, and its files. Whatever else is asked for goes on to
 * the routes; `/` too, unless HTML is preferred.
 */
export function webClient(folder: string): RequestHandler {
  return async (request, response, next) => {
    const file = wanted(request, response);
    if (file === undefined) return next();
    const found = await find(folder, file, request);
    if (found === undefined && file !== START_PAGE) return next();
    response.set(headers(file, request)).vary('Accept-Encoding');
    if (found === undefined) {
      response.status(503).type('html').send(NOT_BUILT);
      return;
    }
    if (found.coding !== undefined) response.set('Content-Encoding', found.coding);
    // The type of what is in it, not of the compressed file.
    response.type(extname(file));
    // No times and tags to compare: what may change is small and fetched anew, the rest never changes. And a build that was
    // put back to an earlier one has an earlier time, by which a browser would keep the page of the later one.
    const options = { root: folder, cacheControl: false, lastModified: false, acceptRanges: false };
    response.sendFile(found.name, options);
  };
}

/** The file that a request is for, as it is named in the folder. */
function wanted(request: Request, response: Response): string | undefined {
  if (request.method !== 'GET' && request.method !== 'HEAD') return undefined;
  if (request.path !== '/') return FILE.exec(request.path)?.[1];
  response.vary('Accept');
  // Who takes anything gets JSON, as programs do that ask what answers here.
  return request.accepts(['json', 'html']) === 'html' ? START_PAGE : undefined;
}

/** The file itself, or the smallest form of it that the client takes. */
async function find(folder: string, file: string, request: Request) {
  for (const [coding, suffix] of Object.entries(CODINGS))
    if (request.acceptsEncodings(coding) && (await isFile(join(folder, file + suffix))))
      return { name: file + suffix, coding };
  return (await isFile(join(folder, file))) ? { name: file, coding: undefined } : undefined;
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (NO_SUCH_FILE.includes(error.code)) return undefined;
    throw error;
  });
  return found?.isFile() ?? false;
}

function headers(file: string, request: Request): Record<string, string> {
  return {
    // The build names assets by their content.
    'Cache-Control': file.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
    'Content-Security-Policy': contentSecurityPolicy(request.get('host') ?? ''),
    'Permissions-Policy': 'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()',
    'Referrer-Policy': 'no-referrer',
    ...(file === 'sw.js' ? { 'Service-Worker-Allowed': '/' } : {}),
  };
}

/** Nothing but what this server serves. */
function contentSecurityPolicy(host: string): string {
  // To older browsers a WebSocket to the same host is not 'self'.
  const sockets = /^[\w.:[\]-]{1,255}$/.test(host) ? ` ws://${host} wss://${host}` : '';
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    `connect-src 'self'${sockets}`,
    "font-src 'self'",
    "manifest-src 'self'",
    "worker-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}
