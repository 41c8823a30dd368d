import { basename, relative } from 'node:path';

/** How the user would start Shoal once more, for commands to copy. @param script process.argv[1] */
export function commandName(script = process.argv[1] ?? 'shoal', folder = process.cwd()): string {
  if (basename(script) === 'shoal') return script.includes('/_npx/') ? 'npx shoal' : 'shoal';
  return `node ${relative(folder, script) || script}`;
}
