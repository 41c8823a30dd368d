import { mkdir, mkdtemp, rename, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { watchFile } from '../../src/cli/watch-file.ts';
import { CONFIG_POLL_MS, CONFIG_SETTLE_MS } from '../../src/config/limits.ts';
import { until } from '../support/until.ts';

describe('with time and file in the test’s hands', () => {
  let timers: Set<{ at: number; run: () => void }>;
  let nowMs: number;
  let content: string;
  let changes: number;
  let touch: () => void;
  let stop: () => void;

  const advance = async (ms: number) => {
    const end = nowMs + ms;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const due = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      timers.delete(due);
      nowMs = due.at;
      due.run();
    }
    nowMs = end;
  };
  const write = (text: string) => {
    content = text;
    touch();
  };

  beforeEach(() => {
    timers = new Set();
    nowMs = 0;
    content = 'a';
    changes = 0;
    stop = watchFile('dir/file', () => changes++, {
      timers: {
        now: () => nowMs,
        after: (ms, run) => {
          const entry = { at: nowMs + ms, run };
          timers.add(entry);
          return () => timers.delete(entry);
        },
      },
      watchDirectory: (_directory, onEvent) => {
        touch = onEvent;
        return () => {
          touch = () => {};
        };
      },
      fingerprint: async () => content,
    });
  });
  afterEach(() => stop());

  it('tells of a change once, when the file has been left alone', async () => {
    await advance(10);
    for (const text of ['b', 'bc', 'bcd']) {
      write(text);
      await advance(CONFIG_SETTLE_MS / 2);
    }
    expect(changes).toBe(0);
    await advance(3 * CONFIG_SETTLE_MS);
    expect(changes).toBe(1);
    await advance(3 * CONFIG_POLL_MS);
    expect(changes).toBe(1);
  });

  it('tells nothing of events beside the file, nor of a file that is gone or back as it was', async () => {
    await advance(10);
    touch();
    await advance(CONFIG_POLL_MS);
    write('');
    await advance(2 * CONFIG_POLL_MS);
    write('a');
    await advance(2 * CONFIG_POLL_MS);
    expect(changes).toBe(0);
  });

  it('finds by itself what the system did not report', async () => {
    await advance(10);
    content = 'b';
    await advance(CONFIG_POLL_MS + 2 * CONFIG_SETTLE_MS);
    expect(changes).toBe(1);
  });

  it('leaves nothing behind when stopped', async () => {
    await advance(10);
    write('b');
    stop();
    await advance(3 * CONFIG_POLL_MS);
    expect([changes, timers.size]).toEqual([0, 0]);
  });
});

describe('on a real file system', () => {
  let directory: string;
  let file: string;
  let changes: number;
  let stop: () => void;

  const watch = async () => {
    stop = watchFile(file, () => changes++);
    // The first look at the file must not see what the test does next.
    for (let look = 0; look < 2; look++) await stat(file).catch(() => {});
  };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'shoal-watch-'));
    file = join(directory, 'model_backend.yaml');
    changes = 0;
  });
  afterEach(async () => {
    stop();
    await rm(directory, { recursive: true });
  });

  it('sees writes in place and by rename, again and again', async () => {
    await writeFile(file, 'a');
    await watch();
    await writeFile(file, 'in place');
    await until(() => changes === 1);
    for (const round of [2, 3]) {
      await writeFile(`${file}.tmp`, `by rename ${round}`);
      await rename(`${file}.tmp`, file);
      await until(() => changes === round);
    }
  });

  it('sees a file that comes to be', async () => {
    await watch();
    await writeFile(file, 'new');
    await until(() => changes === 1);
  });

  it('sees the swap of a symlink beside it, as Kubernetes does', async () => {
    for (const version of ['..1', '..2']) {
      await mkdir(join(directory, version));
      await writeFile(join(directory, version, 'model_backend.yaml'), `of ${version}`);
    }
    await symlink('..1', join(directory, '..data'));
    await symlink('..data/model_backend.yaml', file);
    await watch();
    await symlink('..2', join(directory, '..data_tmp'));
    await rename(join(directory, '..data_tmp'), join(directory, '..data'));
    await until(() => changes === 1);
  });

  it('sees a change behind a symlink that leads elsewhere', async () => {
    const elsewhere = await mkdtemp(join(tmpdir(), 'shoal-watch-target-'));
    await writeFile(join(elsewhere, 'target'), 'a');
    await symlink(join(elsewhere, 'target'), file);
    await watch();
    await writeFile(join(elsewhere, 'target'), 'changed');
    await until(() => changes === 1);
    await unlink(file);
    await rm(elsewhere, { recursive: true });
  });
});
