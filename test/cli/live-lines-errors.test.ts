import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, vi } from 'vitest';
import { hasPseudoTerminals, runAtTerminal } from '../support/pseudo-terminal.ts';
import { Screen } from '../support/screen.ts';

vi.setConfig({ testTimeout: 120_000 });

/** What a person sees when the command has ended. */
async function screenOf(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const run = runAtTerminal(args, { NO_COLOR: '1', ...env });
  const code = await run.ended;
  const screen = new Screen(80, 24);
  screen.write(run.raw());
  // Without the ends of lines, where long ones wrap.
  return { code, text: screen.text.replaceAll('\n', '') };
}

it.runIf(hasPseudoTerminals)(
  'an error stands on lines of its own, and what was kept up to date is gone',
  async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    try {
      const taken = await screenOf(['up', '--port', String(port)]);
      expect(taken.code).toBe(1);
      expect(taken.text).toMatch(/^shoal: PORT_IN_USE: port/);
      const noBrowser = { CHROME_PATH: '/nonexistent' };
      for (const command of [
        ['up', '--port', '0'],
        ['worker', '--server', `http://127.0.0.1:${port}`],
      ]) {
        const { code, text } = await screenOf(command, noBrowser);
        expect(code).toBe(1);
        expect(text).toMatch(/^(\[.*1 tab for.*Ctrl-C ends)?shoal: NO_BROWSER: CHROME_PATH is \/nonexistent/);
        expect(text).toContain('correct or unset it');
      }
    } finally {
      other.close();
    }
  },
);
