import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const source = (path) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

export default defineConfig({
  root: source('test/support/files-page'),
  resolve: {
    alias: [
      { find: '@pairline/client/browser', replacement: source('client/src/browser.ts') },
      { find: '@pairline/client', replacement: source('client/src/index.ts') },
      { find: '@pairline/protocol', replacement: source('protocol/src/index.ts') },
    ],
  },
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
});
