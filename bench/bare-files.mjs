// The reference of `files`: a body streamed to a file and a file streamed back, and nothing else. Runs in a process of its
// own, in the folder that it is given; prints its port.
import { createReadStream, createWriteStream } from 'node:fs';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

const folder = /** @type {string} */ (process.env.BARE_FOLDER);

const http = createServer((request, response) => void answer(request, response));

async function answer(request, response) {
  const path = join(folder, basename(request.url));
  if (request.method === 'GET') return pipeline(createReadStream(path), response);
  await pipeline(request, createWriteStream(path));
  response.writeHead(204).end();
}

http.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (http.address());
  console.log(`Bare files is ready: http://localhost:${port}`);
});
