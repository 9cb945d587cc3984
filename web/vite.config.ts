import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { budget } from './build/budget.js';
import { precompress } from './build/precompress.js';
import { serviceWorker } from './build/service-worker.js';

// The first ones with light-dark(), which the two themes are made of.
const BROWSERS = ['chrome123', 'firefox120', 'safari17.5'];

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig(({ command }) => {
  // Whoever builds the page builds the same one: tests run with NODE_ENV=test, which would bring React's checks along.
  if (command === 'build') process.env.NODE_ENV = 'production';
  return {
    root: here('.'),
    plugins: [
      react(),
      // The list of safety words: there are devices to compare only with a connection, and few people do.
      serviceWorker(here('src/service-worker.js'), { leavesOut: ['@scure/bip39/wordlists/english.js'] }),
      budget({
        kilobytes: 150,
        loads: {
          // With Socket.IO, though the list may be there before it.
          'a browser that is linked': [
            'web/index.html',
            'web/src/workspace.tsx',
            'socket.io-client/build/esm/index.js',
          ],
          'a browser that is not': ['web/index.html', 'web/src/pairing/pairing-page.tsx', 'client/src/keys/suite.ts'],
        },
      }),
      precompress(),
    ],
    resolve: {
      alias: [
        { find: /^@pairline\/client\/(browser|node)$/, replacement: here('../client/src/$1.ts') },
        { find: '@pairline/client', replacement: here('../client/src/index.ts') },
        // The same library, built for the browsers of today.
        { find: /^dexie$/, replacement: 'dexie/dist/modern/dexie.mjs' },
        {
          find: /^\.\/(?:transports\/)?(?:polling-xhr|polling-fetch|webtransport)(?:\.node)?\.js$/,
          replacement: here('build/no-polling.ts'),
        },
        { find: /^crypto$/, replacement: here('build/nothing.ts') },
        { find: '@pairline/protocol', replacement: here('../protocol/src/index.ts') },
      ],
    },
    build: {
      target: BROWSERS,
      outDir: here('dist'),
      emptyOutDir: true,
      sourcemap: false,
      // The page's policy allows neither inline scripts nor data: addresses for them.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      license: false,
    },
    worker: { format: 'es' },
    server: {
      // `npx vite web` beside a running server: hot reload for who works on the page.
      proxy: { '/api': 'http://localhost:3000', '/socket.io': { target: 'http://localhost:3000', ws: true } },
    },
  };
});
