import { defineConfig } from 'vite';

/** Builds the page and its Web Worker into dist/, from where `shoal serve` hands them out. */
export default defineConfig({
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  worker: { format: 'es' },
  build: {
    outDir: 'dist',
    target: 'es2023',
    // simple-peer's bundle is the largest part; warn when the page grows well beyond it.
    chunkSizeWarningLimit: 400,
  },
});
