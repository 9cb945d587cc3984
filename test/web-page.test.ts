import { get as httpGet, type IncomingHttpHeaders } from 'node:http';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { cleanUp, later, temporaryFolder } from './support/database.js';
import { TestServer } from './support/server.js';

// How the server hands out the files of the web client, whatever they are.

const PAGE = '<!doctype html><title>The page</title>';
const SCRIPT = 'console.log("a script");'.repeat(20);
const NAME = 'index-Ab_1-x.js';
/** What browsers ask with when somebody types an address. */
const NAVIGATION = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8';

let server: TestServer;

beforeAll(async () => {
  const folder = join(temporaryFolder(), 'dist');
  const files: Record<string, string | Buffer> = {
    '../outside.js': 'outside',
    'index.html': PAGE,
    'sw.js': '// a service worker',
    'manifest.webmanifest': '{}',
    'icon-192.png': 'a picture',
    [`assets/${NAME}`]: SCRIPT,
    [`assets/${NAME}.br`]: brotliCompressSync(SCRIPT),
    [`assets/${NAME}.gz`]: gzipSync(SCRIPT),
    'assets/style-1.css': 'body {}',
    'assets/.hidden.js': 'hidden',
    'assets/deeper/file.js': 'deeper',
    // What would be in the way of routes, were it looked for.
    healthz: 'in the way',
    'docs/json': 'in the way',
    'api/devices': 'in the way',
    'api/auth/health': 'in the way',
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  server = await TestServer.start({ webFolder: folder });
  later(() => server.stop());
});
afterAll(cleanUp);

async function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Response> {
  const response = await fetch(server.url + path, { method, headers });
  // Read to its end even where a test looks at the headers alone: a connection with something unread is never let go of.
  await response.clone().arrayBuffer();
  return response;
}

/** A request and its answer as they are on the wire: `fetch` tidies the path and unpacks the body. */
function onTheWire(
  path: string,
  headers: Record<string, string>,
): Promise<{ headers: IncomingHttpHeaders; body: Buffer }> {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const request = httpGet({ hostname, port, path, headers, agent: false }, (response) => {
      buffer(response).then((body) => resolve({ headers: response.headers, body }), reject);
    });
    request.on('error', reject);
  });
}

describe('GET /', () => {
  test.each([NAVIGATION, 'text/html', 'text/html, */*;q=0.1'])('is the page for who accepts %s', async (accept) => {
    const response = await get('/', { Accept: accept });
    expect([response.status, await response.text()]).toEqual([200, PAGE]);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
  });

  test.each([
    '*/*',
    'application/json',
    'application/json, text/plain, */*',
    'application/json, text/html;q=0.5',
    'image/png',
  ])('is what answers here for who accepts %s', async (accept) => {
    const response = await get('/', { Accept: accept });
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(await response.json()).toMatchObject({ success: true, version: expect.any(String) });
  });

  test('is what answers here for who does not say', async () => {
    const { body } = await onTheWire('/', {});
    expect(JSON.parse(body.toString())).toMatchObject({ success: true });
  });

  test('tells caches that there are two answers', async () => {
    for (const accept of ['text/html', '*/*'])
      expect((await get('/', { Accept: accept })).headers.get('vary')?.split(', ')).toContain('Accept');
  });

  test('has its headers without a body for HEAD', async () => {
    const response = await get('/', { Accept: 'text/html' }, 'HEAD');
    expect([response.status, await response.text()]).toEqual([200, '']);
    expect(response.headers.get('content-length')).toBe(String(PAGE.length));
  });
});

test('the page is to be had by its name too, as a service worker asks that takes anything', async () => {
  expect(await (await get('/index.html')).text()).toBe(PAGE);
});

describe('files', () => {
  test.each([
    [`/assets/${NAME}`, 'text/javascript; charset=utf-8', SCRIPT],
    ['/assets/style-1.css', 'text/css; charset=utf-8', 'body {}'],
    ['/sw.js', 'text/javascript; charset=utf-8', '// a service worker'],
    ['/manifest.webmanifest', 'application/manifest+json; charset=utf-8', '{}'],
    ['/icon-192.png', 'image/png', 'a picture'],
  ])('%s is %s', async (path, type, text) => {
    const response = await get(path);
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([200, type, text]);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  });

  test('assets are kept for a year, all else is asked for again', async () => {
    expect((await get(`/assets/${NAME}`)).headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    for (const path of ['/', '/index.html', '/sw.js', '/manifest.webmanifest', '/icon-192.png']) {
      const { headers } = await get(path, { Accept: 'text/html' });
      expect([path, headers.get('cache-control')]).toEqual([path, 'no-cache']);
      // An earlier build, put back, has earlier times: by them a browser would keep the page of the later one.
      expect([path, headers.get('last-modified'), headers.get('etag')]).toEqual([path, null, null]);
    }
  });

  test('a browser that has the page gets it anew, whatever time it has it from', async () => {
    const later = new Date(Date.now() + 86_400_000).toUTCString();
    const response = await get('/', { Accept: 'text/html', 'If-Modified-Since': later, 'If-None-Match': '*' });
    expect(await response.text()).toBe(PAGE);
  });

  test('the service worker may serve the whole of the page', async () => {
    expect((await get('/sw.js')).headers.get('service-worker-allowed')).toBe('/');
  });

  test.each([
    ['gzip, deflate, br, zstd', 'br', brotliDecompressSync],
    ['gzip', 'gzip', gunzipSync],
    ['br;q=0, gzip', 'gzip', gunzipSync],
  ])('who takes %s gets %s, made when the client was built', async (accept, coding, unpack) => {
    const { headers, body } = await onTheWire(`/assets/${NAME}`, { 'Accept-Encoding': accept });
    expect([headers['content-encoding'], headers['content-type']]).toEqual([coding, 'text/javascript; charset=utf-8']);
    expect(headers.vary?.split(', ')).toContain('Accept-Encoding');
    expect(unpack(body).toString()).toBe(SCRIPT);
  });

  test.each(['identity', 'zstd', 'br;q=0, gzip;q=0'])('who takes only %s gets the file as it is', async (accept) => {
    const { headers, body } = await onTheWire(`/assets/${NAME}`, { 'Accept-Encoding': accept });
    expect(headers['content-encoding']).toBeUndefined();
    expect(headers.vary?.split(', ')).toContain('Accept-Encoding');
    expect(body.toString()).toBe(SCRIPT);
  });

  test('a file that was not compressed is sent as it is', async () => {
    const { headers, body } = await onTheWire('/assets/style-1.css', { 'Accept-Encoding': 'br, gzip' });
    expect([headers['content-encoding'], body.toString()]).toEqual([undefined, 'body {}']);
  });
});

describe('nothing else is served', () => {
  test.each([
    '/assets',
    '/assets/',
    '/assets/none.js',
    '/assets/.hidden.js',
    '/assets/deeper/file.js',
    '/assets/../../outside.js',
    '/..%2foutside.js',
    '/assets/%2e%2e/%2e%2e/outside.js',
    '/assets/..%5c..%5coutside.js',
    '/..\\outside.js',
    '//etc/passwd',
    '/index.html%00.js',
    '/index.html/',
    `/assets/${'x'.repeat(5000)}.js`,
    '/conversations/1',
    '/api/nothing',
    '/api/devices.html',
  ])('%s: 404 in the one error body', async (path) => {
    const { headers, body } = await onTheWire(path, { Accept: NAVIGATION });
    expect([path, headers['content-type'], JSON.parse(body.toString()).code]).toEqual([path, 'application/json; charset=utf-8', 'route_not_found']); // prettier-ignore
  });

  test('a route stands before a file of its name', async () => {
    expect(await (await get('/healthz', { Accept: 'text/html' })).json()).toEqual({ status: 'ok' });
    expect(await (await get('/api/auth/health', { Accept: 'text/html' })).json()).toMatchObject({ success: true });
    expect((await get('/api/devices', { Accept: 'text/html' })).status).toBe(401);
    expect(await (await get('/docs/json')).json()).toHaveProperty('openapi');
  });

  test('a file is there to be read only', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
      for (const path of ['/', '/index.html', `/assets/${NAME}`])
        expect([method, path, (await get(path, { Accept: 'text/html' }, method)).status]).toEqual([method, path, 404]);
  });
});

describe('security headers', () => {
  const policy = async (path: string, headers: Record<string, string> = { Accept: 'text/html' }) =>
    (await onTheWire(path, headers)).headers['content-security-policy'] as string;

  test('the page loads what this server serves, and nothing else', async () => {
    const { host } = new URL(server.url);
    for (const path of ['/', '/index.html', '/sw.js', `/assets/${NAME}`])
      expect((await policy(path)).split('; ').sort()).toEqual(
        [
          "base-uri 'none'",
          `connect-src 'self' ws://${host} wss://${host}`,
          "default-src 'none'",
          "font-src 'self'",
          "form-action 'none'",
          "frame-ancestors 'none'",
          "img-src 'self' data: blob:",
          "manifest-src 'self'",
          "script-src 'self'",
          "style-src 'self'",
          "worker-src 'self'",
        ].sort(),
      );
  });

  test('a Host that is none does not get into the policy', async () => {
    for (const Host of ["x; script-src 'unsafe-inline'", '*', 'a b', `${'x'.repeat(300)}`])
      expect(await policy('/', { Accept: 'text/html', Host })).toContain("connect-src 'self'; font-src");
  });

  test('no address is told to anybody, and no camera or microphone is asked for', async () => {
    const { headers } = await get('/', { Accept: 'text/html' });
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('permissions-policy')).toMatch(/camera=\(\).*microphone=\(\)/);
    expect(headers.get('x-powered-by')).toBeNull();
  });

  test('the API documentation has a policy of its own, under which it works', async () => {
    const page = await get('/docs', { Accept: 'text/html' });
    expect(page.headers.get('content-security-policy')).toMatch(/style-src[^;]*'unsafe-inline'/);
    const scripts = [...(await page.text()).matchAll(/src="([^"]+\.js)"/g)].map(([, path]) => path!);
    expect(scripts.length).toBeGreaterThan(0);
    for (const script of scripts) expect((await get(new URL(script, `${server.url}/docs`).pathname)).status).toBe(200);
    expect((await get('/docs/swagger-ui.css')).status).toBe(200);
  });
});

test('without a built web client the page says how to build it, and the API works', async () => {
  const bare = await TestServer.start({ webFolder: join(temporaryFolder(), 'none') });
  later(() => bare.stop());
  const page = await fetch(bare.url, { headers: { Accept: NAVIGATION } });
  expect([page.status, page.headers.get('content-type')]).toEqual([503, 'text/html; charset=utf-8']);
  expect(await page.text()).toContain('npm run build');
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(await (await fetch(bare.url)).json()).toMatchObject({ success: true });
  const asset = await fetch(`${bare.url}/assets/x.js`);
  expect([asset.status, await asset.json()]).toMatchObject([404, { code: 'route_not_found' }]);
});
