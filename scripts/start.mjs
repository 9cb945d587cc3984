// npm start                builds when something changed, then serves
// npm run dev (--watch)    rebuilds and restarts on every change
// npm run rotate-key       builds when something changed, then re-wraps the account keys
// npm run studio           builds when something changed, then opens Prisma Studio
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, watchFile } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildWhenNeeded, findTool, parts } from './parts.mjs';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));
if (existsSync('.env')) process.loadEnvFile('.env'); // What the environment already says wins.

const tool = ['rotate-key', 'studio'].find((name) => process.argv.includes(`--${name}`));
const entry = `dist/${tool ?? 'main'}.js`;

if (process.argv.includes('--watch')) watch();
else {
  for (const part of tool === undefined ? [parts.server, parts.web] : [parts.server]) {
    // What --url prints is read by other programs.
    const problem = buildWhenNeeded(part, { quiet: process.argv.includes('--url') });
    if (problem !== undefined) stop(problem);
  }
  // In this same process, so that Ctrl-C and SIGTERM reach the server itself.
  followNpm();
  process.setSourceMapsEnabled(true);
  await import(`../${entry}`);
}

function watch() {
  const generate = () =>
    spawnSync(process.execPath, ['scripts/generate.mjs'], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (generate().status !== 0) stop('The Prisma client could not be generated; see above.');
  watchFile('prisma/schema.prisma', { interval: 500 }, generate);

  const typescript = findTool('typescript/bin/tsc');
  const vite = findTool(parts.web.tool);
  if (typescript === undefined || vite === undefined) stop('The build tools are not installed: run `npm ci` first.');
  const page = spawn(process.execPath, [vite, 'build', 'web', '--watch', '--logLevel', 'warn'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
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
    page.kill();
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

function stop(sentence) {
  console.error(sentence);
  process.exit(1);
}
