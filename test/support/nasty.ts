import { brotliCompressSync, gzipSync } from 'node:zlib';
import { frameBytes, requestBytes, type Frame, type RawRequest } from './raw.js';

// What a server on the open internet is sent sooner or later, as data.

const deep = (levels: number, open = '[', close = ']', middle = '') =>
  open.repeat(levels) + middle + close.repeat(levels);
const long = (length: number, text = 'x') => text.repeat(Math.ceil(length / text.length)).slice(0, length);

export const TEN_MB = 10 * 1024 * 1024;

export const texts: string[] = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\u0001\u0007\u001b[31m',
  '\ud800',
  'x\udfffy',
  '\ufeff',
  '\u202egnp.exe',
  '\u0000\uffff',
  'ﷺ'.repeat(200),
  'e\u0301'.repeat(100),
  '👩‍👩‍👧‍👦'.repeat(30),
  long(255),
  long(256),
  long(255, '😀'),
  long(65_537),
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'null',
  'undefined',
  'NaN',
  '-1',
  '1e309',
  "' OR 1=1 --",
  "'; DROP TABLE messages; --",
  '$1',
  '\\x00',
  '{"a":1}',
  '%s%s%s%n%d',
  '%00',
  '{{7*7}}',
  '${7*7}',
  '<script>alert(1)</script>',
  '../../../../etc/passwd',
  '..\\..\\windows',
  '/api/devices',
  'javascript:0',
  'new:AAAAAAAAAAAAAAAAAAAAAA',
  '\r\nSet-Cookie: a=b',
  'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.',
  'eyJhbGciOiJIUzI1NiJ9.bnVsbA.AAAA',
  'bnVsbA.bnVsbA.bnVsbA',
  'NQ.NQ.NQ',
  '....',
  'a.b.c',
];

export const values: unknown[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  0.5,
  1.5e12 + 0.25,
  Number.MAX_SAFE_INTEGER,
  Number.MAX_SAFE_INTEGER + 1,
  -Number.MAX_SAFE_INTEGER,
  Number.MAX_VALUE,
  Number.MIN_VALUE,
  2 ** 31,
  2 ** 63,
  8.64e15,
  8.64e15 + 2,
  [],
  [null],
  [[]],
  [1, 'a', {}],
  {},
  { length: 1 },
  { length: -1 },
  { then: 'not a function' },
  { toJSON: 1, valueOf: 1, toString: 1 },
  { constructor: 'x' },
  { constructor: { name: 'Array' } },
  JSON.parse('{"__proto__":{"polluted":true}}'),
  JSON.parse('{"constructor":{"prototype":{"polluted":true}}}'),
  { _placeholder: true, num: 0 },
  { _placeholder: true, num: 1e9 },
  { type: 'Buffer', data: [1, 2, 3] },
  JSON.parse(deep(9)),
  JSON.parse(deep(500, '{"a":', '}', '1')),
  Array.from({ length: 1001 }, () => ({})),
  ...texts,
];

/** Bodies as text, for what JSON.stringify would never write. */
export const jsonTexts: string[] = [
  '',
  ' ',
  '{',
  '}',
  '[',
  '{}',
  '[]',
  '[null]',
  '[[]]',
  '[{"token":"x"}]',
  '[{"name":"x"}]',
  'null',
  'true',
  '0',
  '"text"',
  'NaN',
  'Infinity',
  '{"token":1e309}',
  '{"token":-1e309}',
  '{"token":123456789012345678901234567890}',
  '{"token":"a","token":{"a":1}}',
  '{"token":"a","token":"b"}',
  '{"__proto__":null,"token":"a"}',
  '{"__proto__":{"token":"a"}}',
  '{"constructor":"x"}',
  '{"token":{"constructor":"x"}}',
  '{"other":{"constructor":1}}',
  '{"other":[{"constructor":null}]}',
  '{"token":{"toString":1,"valueOf":1}}',
  '{"toString":1,"valueOf":1,"hasOwnProperty":1}',
  '{"then":1,"token":{"then":{}}}',
  '{"token":["a"],"name":["a"],"sessionToken":["a"]}',
  '{"token":"\\u0000","name":"\\u0000","sessionToken":"\\u0000"}',
  '{"token":"\\ud800","name":"\\ud800","sessionToken":"\\ud800"}',
  "{'token':'a'}",
  '{"token":"a",}',
  '{"token":undefined}',
  '/* */{"token":"a"}',
  '\ufeff{"token":"a"}',
  '{"token":"a"}{"token":"b"}',
  '{"to\nken":"a"}',
  deep(100_000),
  deep(100_000, '{"a":', '}', '1'),
  `{"token":${deep(50_000)}}`,
  `{"token":${deep(20_000, '{"a":', '}', '1')}}`,
  `{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":0`).join(',')}}`,
  `[${long(400_000, '{},')}{}]`,
];

const JSON_TYPE = { 'Content-Type': 'application/json' };
const post = (headers: Record<string, string>, body: string | Buffer): RawRequest => ({
  method: 'POST',
  path: '/api/auth/wait-pairing',
  headers: { ...JSON_TYPE, ...headers },
  body,
});

/** Whole requests, each of which is owed an answer. */
export const requests: Record<string, RawRequest> = {
  'an unknown charset': post({ 'Content-Type': 'application/json; charset=klingon' }, '{"token":"a"}'),
  'UTF-16': post({ 'Content-Type': 'application/json; charset=utf-16' }, Buffer.from('{"token":"a"}', 'utf16le')),
  'UTF-7': post({ 'Content-Type': 'application/json; charset=utf-7' }, '{"token":"a"}'),
  'bytes that are not UTF-8': post({}, Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0xc0, 0x80, 0x22, 0x3a, 0x31, 0x7d])),
  'a form': post({ 'Content-Type': 'application/x-www-form-urlencoded' }, 'token=a'),
  'a multipart form': post({ 'Content-Type': 'multipart/form-data; boundary=x' }, '--x\r\n\r\na\r\n--x--'),
  'a multipart form without a boundary': post({ 'Content-Type': 'multipart/form-data' }, '--'),
  XML: post({ 'Content-Type': 'text/xml' }, '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
  'a content type that is none': post({ 'Content-Type': ';;;=' }, '{"token":"a"}'),
  'an empty content type': post({ 'Content-Type': '' }, '{"token":"a"}'),
  'gzip that is none': post({ 'Content-Encoding': 'gzip' }, 'not gzip at all'),
  'gzip cut short': post({ 'Content-Encoding': 'gzip' }, gzipSync('{"token":"a"}').subarray(0, 15)),
  'gzip with a wrong checksum': post(
    { 'Content-Encoding': 'gzip' },
    Buffer.concat([gzipSync('{"token":"a"}').subarray(0, -8), Buffer.alloc(8, 7)]),
  ),
  'gzip with something behind': post(
    { 'Content-Encoding': 'gzip' },
    Buffer.concat([gzipSync('{"token":"a"}'), Buffer.from('behind')]),
  ),
  'a gzip bomb': post({ 'Content-Encoding': 'gzip' }, gzipSync(Buffer.alloc(200 * 1024 * 1024, 32), { level: 9 })),
  'a gzip in a gzip': post({ 'Content-Encoding': 'gzip, gzip' }, gzipSync(gzipSync('{"token":"a"}'))),
  'a brotli bomb': post({ 'Content-Encoding': 'br' }, brotliCompressSync(Buffer.alloc(50 * 1024 * 1024, 32))),
  'brotli that is none': post({ 'Content-Encoding': 'br' }, 'nope'),
  'deflate that is none': post({ 'Content-Encoding': 'deflate' }, 'nope'),
  'zstd that is none': post({ 'Content-Encoding': 'zstd' }, 'nope'),
  'an unknown encoding': post({ 'Content-Encoding': 'rot13' }, '{}'),
  'an encoding called constructor': post({ 'Content-Encoding': 'constructor' }, '{}'),
  'an empty body that says gzip': post({ 'Content-Encoding': 'gzip', 'Content-Length': '0' }, ''),
  'ten megabytes': post({}, `{"token":"${long(TEN_MB)}"}`),
  'ten megabytes as text': post({ 'Content-Type': 'text/plain' }, long(TEN_MB)),
  'a body with a GET': { path: '/api/auth/generate-qr', headers: JSON_TYPE, body: '{"a":1}' },
  'a malformed body with a GET': { path: '/api/auth/generate-qr', headers: JSON_TYPE, body: '{' },
  'a host of 4,000 letters': { path: '/api/auth/generate-qr', headers: { Host: long(4000) } },
  'a host that is none': { path: '/api/auth/generate-qr', headers: { Host: '"><script>' } },
  'an empty host': { path: '/api/auth/generate-qr', headers: { Host: '' } },
  'forwarded headers': {
    path: '/api/auth/generate-qr',
    headers: { 'X-Forwarded-For': long(5000, '::::,'), 'X-Forwarded-Proto': long(4000), 'X-Forwarded-Host': '\u00e9' },
  },
  'a request id of 5,000 letters': { path: '/healthz', headers: { 'X-Request-Id': long(5000) } },
  'a request id of markup': { path: '/nowhere', headers: { 'X-Request-Id': '"><script>' } },
  'headers over 16 KB': { path: '/healthz', headers: { 'X-Long': long(17_000) } },
  'a header below 16 KB': { path: '/healthz', headers: { 'X-Long': long(15_000) } },
  '1,900 headers': {
    path: '/healthz',
    headers: Object.fromEntries(Array.from({ length: 1900 }, (_, i) => [`a${i}`, ''])),
  },
  'a path of 15 KB': { path: `/${long(15_000)}` },
  'a path of 17 KB': { path: `/${long(17_000)}` },
  'a path of 10,000 slashes': { path: long(10_000, '/') },
  'a query of 5,000 fields': { path: `/api/auth/generate-qr?${long(10_000, 'a&')}` },
  'a query of nested brackets': { path: `/api/auth/generate-qr?format${long(9000, '[a]')}=png` },
  'a query that pollutes': { path: '/api/auth/generate-qr?__proto__[format]=png&constructor[prototype][format]=png' },
  'a repeated query field': { path: '/api/auth/generate-qr?format=png&format=svg' },
  'an unknown format': { path: '/api/auth/generate-qr?format=%00' },
  'an absolute address': { path: 'http://elsewhere.example.org/api/devices' },
  'a star': { method: 'OPTIONS', path: '*' },
  'an asterisk path': { path: '/*' },
  'two slashes': { path: '//elsewhere.example.org/api/devices' },
  ...Object.fromEntries(
    [
      ...['%', '%2', '%zz', '%E0%A4%A', '%C0%AF', '%ff', '%00', '%2e%2e%2f%2e%2e%2fetc%2fpasswd', '%u0000'],
      ...['../../etc/passwd', '..;/', '.', '..', ';', '\u00ff', '%ED%A0%80', '__proto__', 'constructor'],
    ].flatMap((end) => [
      [`the path /${end}`, { path: `/${end}` }],
      [`the path /docs/${end}`, { path: `/docs/${end}` }],
      [`the path /api/devices/${end}`, { path: `/api/devices/${end}` }],
    ]),
  ),
  ...Object.fromEntries(
    [
      'TRACE',
      'PUT',
      'PATCH',
      'DELETE',
      'OPTIONS',
      'HEAD',
      'PROPFIND',
      'MKCOL',
      'SEARCH',
      'PURGE',
      'QUERY',
      'M-SEARCH',
    ].flatMap((method) =>
      ['/', '/api/auth/generate-qr', '/api/auth/wait-pairing', '/api/devices', '/api/changes/stream', '/metrics'].map(
        (path) => [`${method} ${path}`, { method, path }],
      ),
    ),
  ),
  ...Object.fromEntries(
    ['Bearer', 'Bearer ', 'Bearer a b', 'bearer x', 'Basic YTpi', `Bearer ${long(9000)}`, 'Bearer ....', 'Bearer a.b.c',
      'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.', 'Bearer bnVsbA.bnVsbA.bnVsbA', 'Bearer NQ.NQ.NQ', 'Negotiate',
      'Bearer eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.bm90IGpzb24.AAAA'] // prettier-ignore
      .map((value) => [`Authorization: ${value.slice(0, 60)}`, { path: '/api/devices', headers: { Authorization: value } }]), // prettier-ignore
  ),
  ...Object.fromEntries(
    ['EIO=3&transport=polling', 'EIO=3&transport=websocket', 'EIO=4', 'EIO=4&transport=', 'EIO=4&transport=webtransport',
      'EIO=4&transport=__proto__', 'EIO=4&transport=polling&sid=__proto__', 'EIO=4&transport=polling&sid=constructor',
      'EIO=4&transport=polling&sid=nobody', 'EIO=4&transport=polling&j=0', 'EIO=4&transport=polling&j=alert(1)',
      'EIO=4&transport=websocket', 'EIO=4&transport=polling&b64=1', 'EIO=NaN&transport=polling', 'transport=polling',
      'EIO=4&EIO=3&transport=polling&transport=websocket', '%', '__proto__=1'] // prettier-ignore
      .map((query) => [`Engine.IO with ${query}`, { path: `/socket.io/?${query}` }]),
  ),
  ...Object.fromEntries(
    ['%00', '__proto__', 'constructor', 'DEFAULT', 'default%20', '%C0%AF', 'nowhere', long(5000)].flatMap((realm) =>
      ['register', 'unregister', 'login', 'pull', 'push', 'cancelSync', 'password'].map((door) => {
        const path = `/${door}/${realm}${door === 'password' ? '/change' : ''}`;
        return [`POST ${path.slice(0, 60)}`, { method: 'POST', path, headers: JSON_TYPE, body: '{}' }];
      }),
    ),
  ),
  ...Object.fromEntries(
    ['Basic', 'Basic ', 'Basic :', 'Basic Og==', 'Basic YTpi', 'Basic YWI=', 'Basic AAA6AAA=', 'Basic //46/w==',
      'Basic YTpi YTpi', `Basic ${Buffer.from(`a@b:${long(8000)}`).toString('base64')}`, 'Basic 7aCAOu2wgA==', 'Bearer YTpi'] // prettier-ignore
      .map((value) => [
        `signing in with ${value.slice(0, 60)}`,
        {
          method: 'POST',
          path: '/login/default',
          headers: { ...JSON_TYPE, Authorization: value },
          body: '{"clientId":"c"}',
        },
      ]),
  ),
  'a gzip bomb for a push': {
    ...post({ 'Content-Encoding': 'gzip' }, gzipSync(Buffer.alloc(200 * 1024 * 1024, 32), { level: 9 })),
    path: '/push/default',
  },
  'a push of seventeen megabytes': { ...post({}, `{"changes":"${long(17 * 1024 * 1024)}"}`), path: '/push/default' },
  'a push nested without end': { ...post({}, `{"changes":${deep(2_000_000)}}`), path: '/push/default' },
  'a push cut short': { ...post({ 'Content-Encoding': 'gzip' }, gzipSync('{"changes":[]}').subarray(0, 20)), path: '/push/default' }, // prettier-ignore
  'ten megabytes for a pull': { ...post({}, `{"changes":"${long(TEN_MB)}"}`), path: '/pull/default' },
  'Engine.IO by POST without a session': { method: 'POST', path: '/socket.io/?EIO=4&transport=polling', body: '40' },
  'Engine.IO by DELETE': { method: 'DELETE', path: '/socket.io/?EIO=4&transport=polling' },
  "Socket.IO's client script": { path: '/socket.io/socket.io.js' },
};

const head = 'Host: 127.0.0.1\r\n';
const last = `${head}Connection: close\r\n`;

/** Bytes that a server answers with a refusal or a reply, and then closes. */
export const rawAnswered: Record<string, { bytes: string | Buffer; methods?: string[] }> = {
  'no HTTP at all': { bytes: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n' },
  'HTTP/0.9': { bytes: 'GET /\r\n\r\n' },
  'HTTP/1.0': { bytes: 'GET / HTTP/1.0\r\n\r\n' },
  'HTTP/3.7': { bytes: `GET / HTTP/3.7\r\n${last}\r\n` },
  'the preface of HTTP/2': { bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' },
  'no host': { bytes: 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n' },
  'two hosts': { bytes: `GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n` },
  'an unknown method': { bytes: `BREW / HTTP/1.1\r\n${last}\r\n` },
  'a space in a header name': { bytes: `GET / HTTP/1.1\r\n${last}X Y: 1\r\n\r\n` },
  'a folded header': { bytes: `GET / HTTP/1.1\r\n${last}X: 1\r\n 2\r\n\r\n` },
  'NUL in a header': { bytes: `GET / HTTP/1.1\r\n${last}X: \0\r\n\r\n` },
  'NUL in the path': { bytes: `GET /\0 HTTP/1.1\r\n${last}\r\n` },
  'bare line feeds': { bytes: `GET / HTTP/1.1\n${head.replaceAll('\r', '')}Connection: close\n\n` },
  'a length that is no number': { bytes: `POST /api/auth/verify HTTP/1.1\r\n${last}Content-Length: x\r\n\r\n` },
  'a negative length': { bytes: `POST /api/auth/verify HTTP/1.1\r\n${last}Content-Length: -1\r\n\r\n` },
  'two lengths': {
    bytes: `POST /api/auth/verify HTTP/1.1\r\n${last}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}`,
  },
  'a length and chunks': {
    bytes: `POST /api/auth/verify HTTP/1.1\r\n${last}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  },
  'chunks, well made': {
    bytes: `POST /api/auth/verify HTTP/1.1\r\n${last}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n`,
  },
  'a chunk size that is none': {
    bytes: `POST /api/auth/verify HTTP/1.1\r\n${last}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`,
  },
  'a chunk size past 64 bits': {
    bytes: `POST /api/auth/verify HTTP/1.1\r\n${last}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${long(40, 'f')}\r\n{}`,
  },
  'a transfer encoding of ours': {
    bytes: `POST /api/auth/verify HTTP/1.1\r\n${last}Transfer-Encoding: pigeon\r\n\r\n{}`,
  },
  'a hundred requests at once': {
    bytes: `${`GET /healthz HTTP/1.1\r\n${head}\r\n`.repeat(99)}GET /healthz HTTP/1.1\r\n${last}\r\n`,
  },
  'requests of all kinds at once': {
    bytes:
      `GET / HTTP/1.1\r\n${head}\r\nHEAD / HTTP/1.1\r\n${head}\r\nGET /nowhere HTTP/1.1\r\n${head}\r\n` +
      `POST /api/auth/verify HTTP/1.1\r\n${head}Content-Type: application/json\r\nContent-Length: 1\r\n\r\n{` +
      `GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n${head}\r\nGET /api/devices HTTP/1.1\r\n${last}\r\n`,
    methods: ['GET', 'HEAD', 'GET', 'POST', 'GET', 'GET'],
  },
  'a request inside the body of another': {
    bytes: Buffer.concat([
      requestBytes({
        method: 'POST',
        path: '/api/auth/verify',
        headers: { 'Content-Type': 'application/json' },
        body: `GET /metrics HTTP/1.1\r\n${head}\r\n`,
      }),
    ]),
  },
  'an upgrade to h2c': { bytes: `GET / HTTP/1.1\r\n${head}Connection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n` },
  'an upgrade elsewhere': {
    bytes: `GET /ws HTTP/1.1\r\n${head}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  },
  'an upgrade without a key': {
    bytes: `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n${head}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  },
  'an upgrade by an old version': {
    bytes: `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n${head}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  },
  'an upgrade of EIO=3': {
    bytes: `GET /socket.io/?EIO=3&transport=websocket HTTP/1.1\r\n${head}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  },
};

/** What is never finished: the sender goes away in the middle. */
export const rawAbandoned: Record<string, string | Buffer> = {
  'a connection without a byte': '',
  'half a request line': 'GET /api/au',
  'half the headers': 'POST /api/auth/verify HTTP/1.1\r\nHost: 127',
  'a body shorter than said': `POST /api/auth/verify HTTP/1.1\r\n${last}Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{"a"`,
  'chunks without an end': `POST /api/auth/verify HTTP/1.1\r\n${last}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{"`,
  'gzip without an end': Buffer.concat([
    Buffer.from(
      `POST /api/auth/verify HTTP/1.1\r\n${last}Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 500\r\n\r\n`,
    ),
    gzipSync(long(300)).subarray(0, 20),
  ]),
  'a body longer than anything': `POST /api/auth/verify HTTP/1.1\r\n${last}Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n{`,
  'an expectation of a go-ahead': `POST /api/auth/verify HTTP/1.1\r\n${last}Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`,
  'an upgrade and half a frame': Buffer.concat([
    Buffer.from(
      `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n${head}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    ),
    frameBytes({ data: '40', length: 500 }),
  ]),
  'a long poll that nobody waits for': requestBytes({
    method: 'POST',
    path: '/api/auth/wait-pairing',
    headers: JSON_TYPE,
    body: '{"token":"00000000-0000-4000-8000-000000000000"}',
  }),
};

/** Event names that mean something to JavaScript, Node or Socket.IO, as JSON text. */
export const eventNames: string[] = [
  ...[
    'connect',
    'connection',
    'connect_error',
    'disconnect',
    'disconnecting',
    'newListener',
    'removeListener',
    'error',
  ],
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'authenticated', 'changes', 'message', '', '\0', '*'],
  ...['Mobile:Register', 'mobile:register ', 'mobile:messages\0', 'mobile', ':', long(5000)],
]
  .map((name) => JSON.stringify(name))
  .concat('0', '-1', '1.5', '1e309', 'null', 'true', '{}', '[]', '{"a":1}', '["mobile:register"]');

/** Engine.IO messages (a first digit of its own, then Socket.IO's packets) as text, whole frames, or bytes. */
export const frames: Record<string, string | Buffer | Frame> = {
  'an empty message': '',
  'an Engine.IO open': '0{}',
  'an Engine.IO close': '1',
  'a ping from the client': '2',
  'a ping probe': '2probe',
  'a pong that nobody asked for': '3',
  'a pong with a tail': '3zzzz',
  'an upgrade': '5',
  'a noop': '6',
  'an unknown Engine.IO type': '9',
  'a binary marker': 'bAAAA',
  'no packet at all': 'hello',
  'an empty packet': '4',
  'an unknown packet type': '49',
  'a connect again': '40',
  'a connect with text': '40"auth"',
  'a connect with null': '40null',
  'a connect with a list': '40[]',
  'a connect with half an object': '40{"token":',
  'a connect with a wrong token': '40{"token":"wrong"}',
  'a connect with a token that is an object': '40{"token":{"toString":1}}',
  'a connect with __proto__': '40{"__proto__":{"token":"a"}}',
  'a connect to another namespace': '40/admin,',
  'a connect to a namespace of slashes': '40////,',
  'a connect to __proto__': '40/__proto__,{}',
  'a connect to a namespace of 5,000 letters': `40/${long(5000)},`,
  'an event in another namespace': '42/admin,["mobile:register",{}]',
  'a disconnect': '41',
  'a disconnect from elsewhere': '41/admin,',
  'an ack of nothing': '43["x"]',
  'an ack that nobody waits for': '4399[{"ok":true}]',
  'an ack of a huge id': '4399999999999999999999999999[1]',
  'an ack with an object': '430{"ok":true}',
  'a connect error': '44{"message":"x"}',
  'an event without a body': '42',
  'an event that is an object': '42{"a":1}',
  'an event that is text': '42"mobile:register"',
  'an event that is null': '42null',
  'an empty event': '42[]',
  'an event of half a list': '42["mobile:register",',
  'an event with a huge ack id': '4299999999999999999999999["mobile:register",{}]',
  'an event with a negative ack id': '42-1["mobile:register",{}]',
  'an event nested 100,000 deep': `42["mobile:register",${deep(7000)}]`,
  'an event with a thousand arguments': `42["mobile:register"${',{}'.repeat(1000)}]`,
  'an event with a number past all': '420["web:mark-read",{"conversationId":1e309}]',
  'an event with repeated keys': '420["web:mark-read",{"conversationId":"a","conversationId":{"b":1}}]',
  'an event that pollutes': '420["mobile:register",{"__proto__":{"deviceId":"a"},"constructor":{"prototype":{}}}]',
  'a binary event whose bytes never come': '451-["mobile:register",{"_placeholder":true,"num":0}]',
  'a binary event without a count': '45["mobile:register"]',
  'a binary event with no attachments': '450-["mobile:register",{}]',
  'a binary event with a negative count': '45-1-["mobile:register",{}]',
  'a binary event with a billion attachments': '451000000000-["mobile:register",{"_placeholder":true,"num":0}]',
  'a binary event with a placeholder out of range': '451-["mobile:register",{"_placeholder":true,"num":7}]',
  'a binary ack': '461-0[{"_placeholder":true,"num":0}]',
  'bytes out of the blue': Buffer.from([1, 2, 3]),
  'text that is not UTF-8': { data: Buffer.from([0x34, 0x32, 0xff, 0xc0]), opcode: 1 },
  'an unmasked frame': { data: '40', masked: false },
  'reserved bits': { data: '40', reserved: 7 },
  'an unknown opcode': { data: 'x', opcode: 11 },
  'a continuation of nothing': { data: 'x', opcode: 0 },
  'a message that goes on': { data: '42["x"', final: false },
  'a close': { data: Buffer.from([0x03, 0xe8]), opcode: 8 },
  'a close with a wrong code': { data: Buffer.from([0, 1]), opcode: 8 },
  'a close of one byte': { data: Buffer.from([3]), opcode: 8 },
  'a ping': { data: 'hi', opcode: 9 },
  'a ping that is too long': { data: long(200), opcode: 9 },
  'a pong out of the blue': { data: '', opcode: 10 },
  'a length past all': { data: '40', length: 2 ** 52 },
  ...Object.fromEntries(eventNames.map((name) => [`an event called ${name.slice(0, 40)}`, `420[${name},{}]`])),
  ...Object.fromEntries(jsonTexts.slice(0, 40).map((text) => [`an event of ${text.slice(0, 40)}`, `420["mobile:register",${text}]`])), // prettier-ignore
};

/** An OpenAPI schema, as far as ours go. */
export interface Schema {
  $ref?: string;
  type?: string;
  format?: string;
  enum?: unknown[];
  oneOf?: Schema[];
  allOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
}

const UUID = '0b6ef6ad-90a9-4a8c-8d1f-6b3a3c8c8a01';
/** What clients seal, for all that the server can tell. */
const SEALED = Buffer.alloc(28).toString('base64');

/** What no schema says: values with which a request gets past the first checks. */
const fields: Record<string, unknown> = {
  email: 'ann@example.org',
  pseudo: 'ann',
  password: 'a good password',
  newPassword: 'a good password',
  currentPassword: 'a good password',
  code: '123456',
  otp: '123456',
  pin: '123456',
  deviceInfo: { deviceId: 'd', name: 'n', type: 't', viewport: { width: 1 } },
  clientDescription: '{"name":"n"}',
  operation: 'U',
  lastSync: 0,
  last_sync_timestamp: 0,
  rowData: { a: [1, 'b', null] },
  expiresAt: '2099-01-01T00:00:00Z',
  deleteRemoteData: false,
  public_key: SEALED,
  messageContent: SEALED,
  content: SEALED,
};

/** A right value by a schema, for tests to spoil; `own` are values of the one who sends it. */
export function exampleOf(schema: Schema, schemas: Record<string, Schema>, own: Record<string, unknown>): unknown {
  const { $ref, type, format, enum: choices, oneOf, allOf, items, properties } = schema;
  const of = (inner: Schema) => exampleOf(inner, schemas, own);
  if ($ref !== undefined) return of(schemas[$ref.split('/').at(-1)!]!);
  if (choices !== undefined) return choices[0];
  const [first] = oneOf ?? allOf ?? [];
  if (first !== undefined) return of(first);
  if (type === 'array') return [of(items!)];
  if (type === 'number') return 1;
  if (type === 'boolean') return true;
  if (type === 'string') return format === 'uuid' ? UUID : 'a';
  const known = { ...fields, ...own };
  return Object.fromEntries(
    Object.entries(properties ?? {}).map(([name, inner]) => [name, name in known ? known[name] : of(inner)]),
  );
}

/** What each event looks like when it is right, for tests to spoil. */
export const events: Record<string, Record<string, unknown>> = {
  'mobile:register': { deviceId: 'd', deviceName: 'n', deviceModel: 'm', deviceToken: 't', inviteToken: 'i' },
  'mobile:scan-qr': { qrData: '{"token":"a"}', deviceId: 'd', keys: 'k' },
  'mobile:messages': {
    messages: [
      {
        id: 'm',
        conversationId: 'c',
        phoneNumber: '+1',
        body: 'b',
        timestamp: 1,
        type: 'received',
        status: 'sent',
        read: false,
      },
    ],
  },
  'mobile:conversations': {
    conversations: [
      { id: 'c', phoneNumber: '+1', contactName: 'n', lastMessage: 'l', lastMessageTime: 1, unreadCount: 1 },
    ],
  },
  'mobile:message-status': { messageId: 'm', status: 'sent' },
  'message:sent': { phoneNumber: '+1', messageId: 'm' },
  'message:deleted': { messageId: 'm' },
  'web:authenticate': { sessionToken: 's' },
  'web:send-message': { phoneNumber: '+1', message: 'b', tempId: 't', validUntil: 8e15 },
  'web:mark-read': { conversationId: 'c' },
  'web:delete-message': { messageId: 'm' },
  'web:request-sync': {},
  'state:put': { key: 'k', value: { a: [1, 'b', null] }, ifAbsent: false },
  'session-update': { sessionKey: 'k', state: { a: [1, 'b', null] } },
  'realtime-event': { type: 'cursor', payload: { x: 1 }, targetDeviceId: null },
  'device-message': { targetDeviceId: 'd', message: { a: 'b' } },
  'state:delete': { key: 'k' },
  sendMessage: { conversationId: 'c', messageContent: SEALED, messageId: 'm', epoch: 1, files: [UUID] },
  editMessage: { conversationId: 'c', messageId: 'm', messageContent: SEALED, epoch: 1 },
  deleteMessage: { conversationId: 'c', messageId: 'm' },
  react: { conversationId: 'c', messageId: 'm', content: SEALED, epoch: 1 },
  markConversation: { conversationId: 'c', delivered: 2, read: 1 },
  userTyping: { conversationId: 'c' },
  joinConversation: { conversationId: 'c' },
};
