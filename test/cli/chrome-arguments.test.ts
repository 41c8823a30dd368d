import { expect, it } from 'vitest';
import { chromeArguments } from '../../src/cli/browser/chrome-arguments.ts';

const usual = { gpu: 'software', platform: 'linux', sandbox: true, insecure: false, tabs: 3 } as const;

it('keeps sandbox and certificate checks unless told otherwise', () => {
  const flags = chromeArguments(usual);
  expect(flags).not.toContain('--no-sandbox');
  expect(flags).not.toContain('--ignore-certificate-errors');
  const loose = chromeArguments({ ...usual, sandbox: false, insecure: true });
  expect(loose).toEqual(expect.arrayContaining(['--no-sandbox', '--ignore-certificate-errors']));
});

it('asks for Vulkan only on Linux', () => {
  expect(chromeArguments({ ...usual, gpu: 'vulkan' })).toContain('--use-angle=vulkan');
  expect(chromeArguments({ ...usual, gpu: 'vulkan', platform: 'darwin' })).not.toContain(
    '--use-angle=vulkan',
  );
});

it('allows a process for each tab', () => {
  const limit = chromeArguments({ ...usual, tabs: 32 }).find((flag) =>
    flag.startsWith('--renderer-process-limit='),
  );
  expect(Number(limit?.split('=')[1])).toBeGreaterThan(32);
});
