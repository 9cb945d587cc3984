// Writes the vectors: node --import ./test/support/typescript.mjs protocol/vectors/make.mjs
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { chats } from './chat-reference.ts';
import { makeVectors } from './reference.ts';

for (const [name, contents] of Object.entries({ ...makeVectors(), chat: chats() })) {
  const file = fileURLToPath(new URL(`${name}.json`, import.meta.url));
  const options = await resolveConfig(file);
  await writeFile(file, await format(JSON.stringify(contents, null, 2), { ...options, filepath: file }));
}
