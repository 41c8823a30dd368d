import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** Text; images and fonts are compressed already. */
const COMPRESSIBLE = /\.(html|js|css|json|wgsl|svg|txt|map|webmanifest)$/;
/** What fits one packet anyway comes no faster compressed. */
const MIN_BYTES = 1_000;

/**
 * Puts `x.br` and `x.gz` beside each text file `x`, for the server to choose from. Here and not when the server starts:
 * the best compression of the page takes seconds.
 *
 * @param {string} directory of the built page
 */
export function compressPage(directory) {
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const path = join(directory, name);
    if (!COMPRESSIBLE.test(name) || !statSync(path).isFile()) continue;
    const bytes = readFileSync(path);
    if (bytes.length < MIN_BYTES) continue;
    const params = {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    };
    writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params }));
    writeFileSync(`${path}.gz`, gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION }));
  }
}
