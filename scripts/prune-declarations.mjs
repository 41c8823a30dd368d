import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/**
 * tsc declares every module that the entries' code uses; whoever embeds the library sees those that its declarations name.
 * @param {string} folder
 * @param {readonly string[]} entries relative to it
 */
export function pruneDeclarations(folder, entries) {
  const seen = new Set(entries.map((entry) => normalize(entry)));
  // A set that grows while it is walked is walked to its end.
  for (const file of seen) {
    const text = readFileSync(join(folder, file), 'utf8');
    for (const [, from = ''] of text.matchAll(
      /(?:\bfrom\s+|\bimport\(|\bimport\s+)["'](\.[^"']+)\.ts["']/g,
    )) {
      seen.add(normalize(join(dirname(file), `${from}.d.ts`)));
    }
  }
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.d.ts') && !seen.has(normalize(file))) rmSync(join(folder, file));
  }
}
