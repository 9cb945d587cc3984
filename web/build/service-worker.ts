import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Plugin } from 'vite';

/**
 * Emits `sw.js` from `source`, with the list of everything the page is made of and a name for exactly that list. Of the
 * modules in `leavesOut`, each of which begins a chunk, nothing is on it: they are loaded when they are wanted.
 */
export function serviceWorker(source: string, { leavesOut }: { leavesOut: string[] }): Plugin {
  return {
    name: 'pairline-service-worker',
    apply: 'build',
    enforce: 'post',
    async generateBundle(_options, bundle) {
      const hash = createHash('sha256');
      const files = ['/', '/theme.js', '/icon.svg', '/icon-192.png', '/manifest.webmanifest'];
      for (const file of Object.values(bundle)) {
        if (file.type === 'chunk' && leavesOut.some((module) => file.facadeModuleId?.endsWith(`/${module}`))) continue;
        if (file.fileName === 'index.html') hash.update(file.type === 'asset' ? file.source : file.code);
        else files.push(`/${file.fileName}`);
      }
      files.sort();
      const version = hash.update(files.join('\n')).digest('hex').slice(0, 12);
      const code = await readFile(source, 'utf8');
      this.emitFile({
        type: 'asset',
        fileName: 'sw.js',
        source: code.replace('__VERSION__', version).replace("['__FILES__']", JSON.stringify(files)),
      });
    },
  };
}
