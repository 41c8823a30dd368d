import { resolve } from 'node:path';
import { defineConfig, type Plugin } from 'vite';
import { compressPage } from './scripts/compress-page.mjs';

/** Builds the page and its Web Worker into dist/, from where `shoal serve` hands them out. */
export default defineConfig({
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  worker: { format: 'es' },
  build: {
    outDir: 'dist',
    target: 'es2023',
    // zod is the largest part; warn when the page grows well beyond it.
    chunkSizeWarningLimit: 300,
  },
  plugins: [compressed()],
});

/** After everything else has been written, what vite copies from public/ included. */
function compressed(): Plugin {
  let directory = '';
  return {
    name: 'compress-page',
    apply: 'build',
    configResolved({ root, build }) {
      directory = resolve(root, build.outDir);
    },
    closeBundle: () => compressPage(directory),
  };
}
