// npm start                builds when something changed, then serves
// npm run dev (--watch)    rebuilds and restarts on every change
// npm run rotate-key       builds when something changed, then re-wraps the account keys
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, watchFile, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));
if (existsSync('.env')) process.loadEnvFile('.env'); // What the environment already says wins.

const STAMP = 'dist/.built'; // Its time is the last whole build without errors.
const entry = process.argv.includes('--rotate-key') ? 'dist/rotate-key.js' : 'dist/main.js';

if (process.argv.includes('--watch')) watch();
else {
  if (needsBuild()) build();
  // In this same process, so that Ctrl-C and SIGTERM reach the server itself.
  followNpm();
  process.setSourceMapsEnabled(true);
  await import(`../${entry}`);
}

function needsBuild() {
  // An installation without sources or dev dependencies runs what it was given.
  if (existsSync(entry) && (!existsSync('src') || findTool('@nestjs/cli/bin/nest.js') === undefined)) return false;
  if (!existsSync(entry)) return true;
  const sources = ['src', 'prisma/schema.prisma', 'tsconfig.json', 'tsconfig.build.json', 'nest-cli.json'];
  return newest(sources) > changedAt(STAMP);
}

function build() {
  const nest = findTool('@nestjs/cli/bin/nest.js');
  if (nest === undefined) stop('The server is not built, and its build tools are not installed: run `npm ci` first.');
  console.log('Building the server …');
  for (const command of [['scripts/generate.mjs'], [nest, 'build']]) {
    const { status } = spawnSync(process.execPath, command, { stdio: ['ignore', 'inherit', 'inherit'] });
    if (status !== 0) stop('The build failed; see above.');
  }
  writeFileSync(STAMP, '');
}

function watch() {
  const generate = () =>
    spawnSync(process.execPath, ['scripts/generate.mjs'], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (generate().status !== 0) stop('The Prisma client could not be generated; see above.');
  watchFile('prisma/schema.prisma', { interval: 500 }, generate);

  const typescript = findTool('typescript/bin/tsc');
  if (typescript === undefined) stop('The build tools are not installed: run `npm ci` first.');
  const compiler = spawn(
    process.execPath,
    [typescript, '-p', 'tsconfig.build.json', '--watch', '--preserveWatchOutput'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let server;
  let stopping = false;
  compiler.stdout.on('data', (chunk) => {
    process.stdout.write(chunk);
    if (String(chunk).includes('Found 0 errors')) restart();
  });
  compiler.on('exit', (code) => {
    if (!stopping) stop(`The compiler ended (${code}).`);
  });
  process.on('exit', () => {
    compiler.kill();
    server?.kill();
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => {
      stopping = true;
      if (server === undefined) process.exit(0);
      server.once('exit', () => process.exit(0));
      // A terminal sends Ctrl-C to every process in it; a second one would hurry the server.
      if (signal === 'SIGTERM' || !process.stdin.isTTY) server.kill(signal);
    });

  function restart() {
    if (stopping) return;
    if (server !== undefined) {
      server.again = true;
      server.kill('SIGTERM');
      return;
    }
    const started = spawn(process.execPath, ['--enable-source-maps', entry], { stdio: 'inherit' });
    server = started;
    started.on('exit', (code) => {
      server = undefined;
      if (stopping) return;
      if (started.again) restart();
      else console.log(`The server ended (${code}); the next change starts it again.`);
    });
  }
}

/** npm and its shell die of a SIGTERM without passing it on; the server must not stay behind then. */
function followNpm() {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, 500);
  timer.unref();
}

function findTool(path) {
  try {
    return createRequire(import.meta.url).resolve(path);
  } catch {
    return undefined;
  }
}

function changedAt(path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}

/** The newest change below these paths; folders count too, so that a deleted file is noticed. */
function newest(paths) {
  let latest = 0;
  for (const path of paths) {
    latest = Math.max(latest, changedAt(path));
    if (existsSync(path) && statSync(path).isDirectory())
      latest = Math.max(latest, newest(readdirSync(path).map((name) => join(path, name))));
  }
  return latest;
}

function stop(sentence) {
  console.error(sentence);
  process.exit(1);
}
