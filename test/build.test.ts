import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, expect, test } from '@jest/globals';
import { cleanUp, temporaryFolder } from './support/database.js';

// How a part that is read while it is built anew takes its place (scripts/parts.mjs).

const PARTS = pathToFileURL(fileURLToPath(new URL('../scripts/parts.mjs', import.meta.url))).href;

afterEach(cleanUp);

/** Builds, in a process of its own, a part whose tool runs this; answers what `build` answered. */
async function build(made: string, tool: string): Promise<string> {
  const program = `
    import { build } from ${JSON.stringify(PARTS)};
    const commands = (tool, folder) => [['-e', tool, folder]];
    console.log(build({ name: 'the page', made: ${JSON.stringify(made)}, swapped: true, commands }, ${JSON.stringify(tool)}) ?? 'built');
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let output = '';
  child.stdout.on('data', (piece: Buffer) => (output += piece.toString()));
  await once(child, 'close');
  return output.trim();
}

/** Writes as a build does: one file after the other. */
const TOOL = `
  const { mkdirSync, writeFileSync } = require('node:fs');
  const folder = process.argv[1];
  mkdirSync(folder);
  for (let i = 0; i < 50; i++) writeFileSync(folder + '/part-' + i, 'new');
  writeFileSync(folder + '/index.html', 'new');
`;

function lastBuild(): { folder: string; made: string } {
  const folder = join(temporaryFolder(), 'dist');
  mkdirSync(folder, { recursive: true });
  const made = join(folder, 'index.html');
  writeFileSync(made, 'old');
  writeFileSync(join(folder, 'of-the-last-one'), '');
  return { folder, made };
}

test('builds side by side are not in each other’s way, and one of them is there whole', async () => {
  const { folder, made } = lastBuild();
  const answers = await Promise.all(Array.from({ length: 4 }, () => build(made, TOOL)));
  expect(answers).toEqual(['built', 'built', 'built', 'built']);
  expect(readFileSync(made, 'utf8')).toBe('new');
  expect(readdirSync(folder)).toHaveLength(52);
  expect(readdirSync(join(folder, '..'))).toEqual(['dist']);
});

test('a build that fails says so, and leaves the last one as it is', async () => {
  const { folder, made } = lastBuild();
  expect(await build(made, `${TOOL}; process.exit(1)`)).toBe('The page could not be built; see above.');
  expect(readFileSync(made, 'utf8')).toBe('old');
  expect(readdirSync(join(folder, '..'))).toEqual(['dist']);
});
