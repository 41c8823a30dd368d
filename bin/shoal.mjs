#!/usr/bin/env node
// The package has the commands as JavaScript. A checkout runs its TypeScript as it is, by tsx: there is no build step
// between source and command, and what `npm pack` may have left in lib is not looked at.
import { existsSync } from 'node:fs';

if (existsSync(new URL('../src/cli/main.ts', import.meta.url))) {
  try {
    const { register } = await import('tsx/esm/api');
    register();
  } catch {
    process.stderr.write(
      'shoal: packages are missing; run `npm start` or `node scripts/setup.mjs` in the checkout\n',
    );
    process.exit(1);
  }
  await import('../src/cli/main.ts');
} else {
  await import('../lib/main.js');
}
