import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const source = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

// In this repository the library is taken as it lies there; elsewhere it comes from node_modules, and this is not needed.
export default defineConfig({
  resolve: {
    alias: [
      { find: '@pairline/client/browser', replacement: source('client/src/browser.ts') },
      { find: '@pairline/client', replacement: source('client/src/index.ts') },
      { find: '@pairline/protocol', replacement: source('protocol/src/index.ts') },
    ],
  },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    rollupOptions: { input: source('client/examples/browser.html') },
  },
});
