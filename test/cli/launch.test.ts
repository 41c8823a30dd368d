import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it, vi } from 'vitest';
import { launchBrowser } from '../../src/cli/browser/launch.ts';

const folder = mkdtempSync(join(tmpdir(), 'shoal-launch-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

/** A program that calls itself a browser and ends as Chrome does where it cannot run. */
async function failureOf(script: string): Promise<Error> {
  const chrome = join(folder, 'chrome');
  writeFileSync(chrome, `#!/bin/sh\ncase "$*" in *--version*) echo Chrome 1.2.3; exit 0;; esac\n${script}\n`);
  chmodSync(chrome, 0o755);
  vi.stubEnv('CHROME_PATH', chrome);
  const options = { tabs: 1, gpu: 'software', headful: false, insecure: false, sandbox: true } as const;
  return launchBrowser(options).then(
    () => expect.fail('it started'),
    (error) => error,
  );
}

// As root other users are tried first; what is said at last is the same.
it('says what Chrome said, and what helps where its sandbox is missing', async () => {
  const error = await failureOf(
    'echo "[12:12:1128/1:FATAL:content/browser/zygote_host_impl_linux.cc:132] No usable sandbox! See the documentation." >&2\nexit 133',
  );
  expect(error).toMatchObject({ code: 'NO_BROWSER' });
  expect(error.message).toMatch(/did not start: No usable sandbox!.*docs\/deploy\.md.*--no-sandbox/);
});

it('says to try by hand where Chrome says nothing', async () => {
  const error = await failureOf('exit 1');
  expect(error.message).toMatch(
    /did not start: .*check that it starts by hand, or name another with CHROME_PATH/,
  );
});
