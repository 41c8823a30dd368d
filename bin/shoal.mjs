#!/usr/bin/env node
// The command line is TypeScript, run as it is by tsx: there is no build step between source and command.
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
