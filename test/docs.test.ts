import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { clientEvents } from '../src/delivery/events.js';
import { serverEvents } from '../src/delivery/server-events.js';

const read = (path: string) => readFileSync(path, 'utf8');
const protocol = read('docs/protocol.md');
const named = (name: string) => protocol.includes(`\`${name}\``);

describe('docs/protocol.md', () => {
  test('has every error code with its status and sentence', () => {
    const catalogue = [...read('src/errors.ts').matchAll(/^ {2}(\w+): \[(\d+), '(.+)'\],$/gm)];
    expect(catalogue.length).toBeGreaterThan(30);
    const rows = protocol.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
    for (const [, code, status, sentence] of catalogue)
      expect(rows).toContainEqual(expect.arrayContaining([`\`${code}\``, status, sentence]));
  });

  test('has no error code that does not exist', () => {
    const codes = new Set([...read('src/errors.ts').matchAll(/^ {2}(\w+): \[\d+,/gm)].map(([, code]) => code));
    const told = [...protocol.matchAll(/^\| `(\w+)` +\| \d{3} /gm)].map(([, code]) => code);
    expect(told.filter((code) => !codes.has(code))).toEqual([]);
  });

  test('has every event that clients send, with its fields', () => {
    for (const [event, { payload }] of Object.entries(clientEvents({ maxBatch: 1, maxTextLength: 1 }))) {
      const row = protocol.split('\n').find((line) => line.startsWith(`| \`${event}\``));
      expect({ event, row }).toEqual({ event, row: expect.any(String) });
      for (const field of Object.keys(payload.properties)) expect({ event, row }).toHaveProperty('row', expect.stringContaining(field)); // prettier-ignore
    }
  });

  test('has every event that the server sends', () => {
    const delivery = readdirSync('src/delivery').map((file) => read(join('src/delivery', file))).join('\n'); // prettier-ignore
    const calls = /(?:emit|ask|encode|encodeText|toBrowsers|toEveryBrowser|toPhones)\(\s*(?:account, |account\.id, )?(?:here \? )?'([\w:-]+)'(?: : '([\w:-]+)')?/g; // prettier-ignore
    const events = new Set([...delivery.matchAll(calls)].flatMap(([, one, other]) => [one, other ?? one]));
    for (const event of ['messages:sync', 'send:message', 'mobile:disconnected', 'changes', 'error'])
      expect([...events]).toContain(event); // the search above still finds them
    expect([...events].filter((event) => !(event! in serverEvents))).toEqual([]);
    expect(Object.keys(serverEvents).filter((event) => !named(event))).toEqual([]);
  });
});

test('docs/ has every route', () => {
  const controllers = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.controller.ts')); // prettier-ignore
  const routes = controllers.flatMap((file) => {
    const source = read(join('src', file));
    const prefix = /@Controller\('?([^')]*)'?\)/.exec(source)![1];
    return [...source.matchAll(/@(Get|Post|Patch|Put|Delete)\(([^)]*)\)/g)].flatMap(([, method, paths]) => {
      const all = paths === '' ? [''] : [...paths!.matchAll(/'([^']*)'/g)].map(([, path]) => path);
      return all.map((path) => `${method!.toUpperCase()} \`/${[prefix, path].filter(Boolean).join('/')}\``);
    });
  });
  expect(routes.length).toBeGreaterThan(40);
  const pages = readdirSync('docs').filter((path) => path.endsWith('.md'));
  const docs = pages.map((page) => read(join('docs', page))).join('\n');
  expect(routes.filter((route) => !docs.includes(route))).toEqual([]);
});

test('docs/operations.md has every setting of .env.example that the server reads', () => {
  const operations = read('docs/operations.md');
  const settings = [...read('.env.example').matchAll(/^#?([A-Z][A-Z0-9_]+)=/gm)].map(([, name]) => name!);
  expect(settings.length).toBeGreaterThan(30);
  expect(settings.filter((name) => !operations.includes(name))).toEqual([]);
});

test('docs/operations.md has every figure of /metrics', () => {
  const operations = read('docs/operations.md');
  const figures = [...read('src/metrics.ts').matchAll(/'(pairline_\w+)'/g)].map(([, name]) => name!);
  expect(figures.length).toBeGreaterThan(5);
  expect(figures.filter((name) => !operations.includes(name))).toEqual([]);
});

test('docs/security.md says of every table what is sealed in it', () => {
  const tables = [...read('prisma/schema.prisma').matchAll(/^model [\s\S]*?@@map\("(\w+)"\)/gm)].map(
    ([, name]) => name!,
  );
  const told = [...read('docs/security.md').matchAll(/^\| `(\w+)` /gm)].map(([, name]) => name!);
  expect(tables.length).toBeGreaterThan(10);
  expect(tables.filter((table) => !told.includes(table))).toEqual([]);
});

test('README has the two commands as they are to be typed', () => {
  const lines = read('README.md').split('\n');
  expect(lines).toContain('npm ci && npm start');
  expect(lines).toContain('npm ci && npm test');
});

describe('links', () => {
  const inDocs = readdirSync('docs', { recursive: true, encoding: 'utf8' }).map((path) => join('docs', path));
  const files = [...readdirSync('.'), ...inDocs].filter((path) => path.endsWith('.md'));

  test.each(files)('%s leads where it says', (file) => {
    const text = withoutCode(read(file));
    const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target]) => target!)
      .filter((target) => !/^(https?:|mailto:)/.test(target))
      .filter((target) => !resolves(file, target));
    expect(broken).toEqual([]);
  });
});

function resolves(file: string, target: string): boolean {
  const [path, anchor] = target.split('#', 2) as [string, string?];
  const whole = path === '' ? file : join(dirname(file), path);
  if (!existsSync(whole)) return false;
  return anchor === undefined || anchors(whole).has(anchor);
}

/** The headings of a file as GitHub names them. */
function anchors(file: string): Set<string> {
  const headings = [...withoutCode(read(file)).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!);
  return new Set(
    headings.map(
      (heading) =>
      heading.toLowerCase().replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-'), // prettier-ignore
    ),
  );
}

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, '');
}
