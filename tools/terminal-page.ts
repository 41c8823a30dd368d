/**
 * Writes docs/terminal.md: what people see at a terminal, taken from a real one (tmux) while the commands run. What is another
 * machine's on every run (times, speeds, addresses, fingerprints, adapters, paths) is left out. Needs tmux and a browser.
 *
 * Usage: npx tsx tools/terminal-page.ts
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const SOCKET = `shoal-terminal-${process.pid}`;
const DEADLINE_MS = 180_000;
const POLL_MS = 100;
/** A command has started and asked by then. */
const STORY_BEGINS_MS = 1_500;

const tmux = (...args: string[]): string =>
  execFileSync('tmux', ['-L', SOCKET, '-f', '/dev/null', ...args], { encoding: 'utf8' });

/** A terminal of its own with a plain shell in it. */
class Terminal {
  readonly #name: string;

  constructor(name: string, folder: string) {
    this.#name = name;
    const env = [`PATH=${folder}:${process.env.PATH}`, `SHOAL_HOME=${folder}`, 'PS1=$ ', 'NO_COLOR=1'];
    const shell = ['env', ...env, 'bash', '--norc', '--noprofile'];
    const size = ['-x', '100', '-y', '60'];
    tmux('new-session', '-d', '-s', name, ...size, '-c', ROOT, ...shell);
  }

  type(...keys: string[]): void {
    tmux('send-keys', '-t', this.#name, ...keys);
  }

  screen(): string {
    const text = tmux('capture-pane', '-p', '-J', '-S', '-200', '-t', this.#name);
    return text
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n')
      .trim();
  }

  clear(): void {
    tmux('send-keys', '-R', '-t', this.#name);
    tmux('clear-history', '-t', this.#name);
    this.type('C-l');
  }

  /** @returns the screen once it shows what matches */
  async see(pattern: RegExp): Promise<string> {
    const deadline = performance.now() + DEADLINE_MS;
    for (;;) {
      const shown = this.screen();
      if (pattern.test(shown)) return shown;
      if (performance.now() > deadline) throw new Error(`${pattern} was never shown:\n${shown}`);
      await delay(POLL_MS);
    }
  }
}

/** What would be another text on every machine and at every run. */
function withoutThisMachine(shown: string): string {
  return (
    shown
      .replaceAll(/\(after [\d.]+ s\)/g, '(after … s)')
      .replaceAll(/[\d.]+ tokens\/s/g, '… tokens/s')
      .replaceAll(/[\d.]+ tok\/s/g, '… tok/s')
      .replaceAll(/first token [\d.]+ s/g, 'first token … s')
      // In columns, which stay straight.
      .replaceAll(/[\d.]+(?= ms)|(?<= )\d+\.\d(?= {2})/g, (number) => '…'.padEnd(number.length))
      .replaceAll(/sha256:[\da-f]{64}/g, 'sha256:…')
      .replaceAll(/https:\/\/\d+\.\d+\.\d+\.\d+(?=:)/g, (url) =>
        /127\.0\.0\.1/.test(url) ? url : 'https://SERVER',
      )
      .replaceAll(/^\[[\d:]+\] /gm, '')
      .replaceAll(/SwiftShader Device \([^\n]*?\)+(?= \(software)/g, 'SwiftShader')
      // What was not made ready yet.
      .replaceAll(/^✓ .* \([\d.]+ s\)\n\n?/gm, '')
      .replaceAll(ROOT, '')
  );
}

const block = (shown: string) =>
  `\`\`\`text\n${withoutThisMachine(shown).replaceAll(/\n{3,}/g, '\n\n')}\n\`\`\`\n`;

async function record(folder: string): Promise<string> {
  const first = new Terminal('first', folder);
  const second = new Terminal('second', folder);

  first.type('npm start', 'Enter');
  const starting = await first.see(/tab-3 +downloading/);
  const started = await first.see(/Ctrl-C stops everything/);

  second.type('shoal chat', 'Enter');
  await second.see(/\n> $|\n>$/);
  second.type('Tell me a story.', 'Enter');
  await second.see(/a story\.\n.{12}/);
  second.type('C-c');
  await second.see(/stopped; Ctrl-C again/);
  second.type('What is the capital of Japan?', 'Enter');
  await second.see(/Japan\?\n[\s\S]*tokens\/s.*tokens\n+>/);
  second.type('/help', 'Enter');
  await second.see(/ends the chat\n>/);
  second.type('C-d');
  const chat = await second.see(/\n\$$/);
  // Something to see: an answer that runs.
  second.type('(shoal chat Tell me a story. > /dev/null &)', 'Enter');
  await delay(STORY_BEGINS_MS);
  second.clear();
  second.type('shoal status', 'Enter');
  const status = await second.see(/tokens\/s[\s\S]*\n\$$/);
  first.type('C-c');
  await first.see(/shutting down[\s\S]*\$$/);
  first.clear();
  second.clear();

  first.type('shoal serve --host 0.0.0.0 --tls-self-signed', 'Enter');
  const serving = await first.see(/ask it from another machine: .*/);
  const [fingerprint] = /sha256:[\da-f]{64}/.exec(serving) ?? [''];
  second.type('shoal status --server https://127.0.0.1:8787', 'Enter');
  await second.see(/shoal: BACKEND_FAILED[\s\S]*\n\$$/);
  const refused = second.screen();
  second.clear();
  second.type(
    `shoal worker --server https://127.0.0.1:8787 --tabs 2 --tls-fingerprint ${fingerprint}`,
    'Enter',
  );
  const working = await second.see(/✓ tab-1 [\s\S]*✓ tab-2 /);
  const third = new Terminal('third', folder);
  third.type(
    `shoal chat --server https://127.0.0.1:8787 --tls-fingerprint ${fingerprint} What is 17 plus 25?`,
    'Enter',
  );
  const asked = await third.see(/\n.*42.*\n\$$/);

  return `# At a terminal

What the commands show, taken from a terminal by \`npx tsx tools/terminal-page.ts\`. Where \`…\` stands, every machine says
something else.

## npm start

While it starts, a line a tab is kept up to date:

${block(starting)}
Once it runs they make way for a summary:

${block(started)}
## shoal chat

In another terminal. The first answer was stopped with Ctrl-C, and the conversation went on:

${block(chat)}
## shoal status

Which routes answers run on, who holds which layers, and who is there; \`--json\` for programs. Lines are as wide as the terminal:

${block(status)}
## A server for other machines

\`--tls-self-signed\` makes a certificate, and prints the commands that trust it:

${block(serving)}
A command without the fingerprint is refused, with what to do:

${block(refused)}
With it, a worker lends two tabs, each with the whole model:

${block(working)}
and a client asks:

${block(asked)}`;
}

const folder = mkdtempSync(join(tmpdir(), 'shoal-terminal-'));
try {
  // As an installed `shoal` is called.
  symlinkSync(join(ROOT, 'bin/shoal.mjs'), join(folder, 'shoal'));
  chmodSync(join(ROOT, 'bin/shoal.mjs'), 0o755);
  mkdirSync(join(folder, 'models'), { recursive: true });
  writeFileSync(join(ROOT, 'docs/terminal.md'), await record(folder));
} finally {
  try {
    for (const name of ['first', 'second', 'third']) {
      tmux('send-keys', '-t', name, 'C-c');
    }
    await delay(5_000);
  } catch {
    // Not all were opened.
  }
  try {
    tmux('kill-server');
  } catch {
    // None ran.
  }
  rmSync(folder, { recursive: true, force: true });
}
