import { gzipSync } from 'node:zlib';
import type { Plugin, Rolldown } from 'vite';

/**
 * Fails the build when a first load is more than `kilobytes` (1000 bytes) of gzipped JavaScript. `loads` names each with
 * the modules that begin it: they and all that they import count, what they load later does not.
 */
export function budget({ loads, kilobytes }: { loads: Record<string, string[]>; kilobytes: number }): Plugin {
  return {
    name: 'pairline-budget',
    apply: 'build',
    enforce: 'post',
    generateBundle(_options, bundle) {
      const chunks = Object.values(bundle).filter((file): file is Rolldown.OutputChunk => file.type === 'chunk');
      const chunkOf = (module: string) => {
        const chunk = chunks.find(({ facadeModuleId }) => facadeModuleId?.endsWith(`/${module}`));
        return chunk ?? this.error(`The budget names ${module}, which begins no chunk of this build.`);
      };
      for (const [load, modules] of Object.entries(loads)) {
        const needed = new Set(modules.map(chunkOf));
        // Chunks added on the way are visited too.
        for (const { imports } of needed) {
          for (const chunk of chunks) if (imports.includes(chunk.fileName)) needed.add(chunk);
        }
        const bytes = [...needed].reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0);
        const sentence = `First load of ${load}: ${(bytes / 1000).toFixed(1)} kB of JavaScript gzipped, of ${kilobytes} kB.`;
        if (bytes > kilobytes * 1000) this.error(sentence);
        this.info(sentence);
      }
    },
  };
}
