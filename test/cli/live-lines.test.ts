import { expect, it } from 'vitest';
import { LiveLines, openLiveLines } from '../../src/cli/live-lines.ts';
import { tabLine } from '../../src/cli/tab-line.ts';
import { summaryLines } from '../../src/cli/up-view.ts';
import type { Status } from '../../src/mesh/protocol/status.ts';
import { Screen } from '../support/screen.ts';

const shown = (screen: Screen) => screen.text.replaceAll(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/g, '*');

it('keeps a line a name, in place, while log lines pass above', () => {
  const screen = new Screen(40, 10);
  screen.write('$ npm start\n');
  const lines = new LiveLines(screen);
  lines.set('server', 'starting');
  lines.set('tab-1', 'downloading  1.0 of 5.0 MB');
  lines.above('a warning\n');
  lines.set('server', 'http://h', 'done');
  lines.set('tab-1', 'lost', 'trouble');
  expect(shown(screen)).toBe('$ npm start\na warning\n✓ server  http://h\n! tab-1   lost');
  lines.end();
  lines.end();
  lines.above('after\n');
  lines.set('tab-1', 'too late');
  expect(shown(screen)).toBe('$ npm start\na warning\nafter\n');
});

it('fits a narrow terminal, one that becomes narrower, and one with few rows', () => {
  const screen = new Screen(30, 5);
  screen.write('$\n');
  const lines = new LiveLines(screen);
  for (const name of ['a', 'b', 'c', 'd', 'e']) lines.set(name, `is ${'very '.repeat(9)}long`);
  expect(shown(screen).split('\n').slice(0, 2)).toEqual(['$', '* a  is very very very very …']);
  for (const line of shown(screen).split('\n')) expect(line.length).toBeLessThan(30);
  expect(shown(screen)).toContain('… and 3 more');
  screen.narrow(12);
  lines.set('a', 'x');
  expect(shown(screen).split('\n')).toHaveLength(4);
  expect(shown(screen)).toMatch(/^\$\n\* a {2}x\n/);
  lines.end();
  expect(shown(screen)).toBe('$\n');
});

it('is for terminals that can, and only where no other form of the log was asked for', () => {
  const screen = new Screen(80, 24);
  const opened = openLiveLines(screen, {});
  expect(opened).not.toBeNull();
  opened?.end();
  for (const env of [{ TERM: 'dumb' }, { SHOAL_LOG: 'json' }, { SHOAL_LOG: 'pretty' }])
    expect(openLiveLines(screen, env)).toBeNull();
  expect(openLiveLines({ write: () => {} }, {})).toBeNull();
});

it('shows of a tab how far it is, what it holds, or what is wrong', () => {
  const shard = { start: 0, end: 3 };
  const progress = { bytesDone: 1_200_000, bytesTotal: 5_000_000 };
  expect(tabLine({ phase: 'downloading', detail: 'Loading.', progress, shard })).toEqual({
    text: 'downloading  1.2 of 5.0 MB  layers 0–2',
    mark: 'busy',
  });
  const none = { bytesDone: 0, bytesTotal: 0 };
  expect(tabLine({ phase: 'compiling', detail: '', progress: none, shard }).text).toBe(
    'compiling    layers 0–2',
  );
  expect(tabLine({ phase: 'serving', detail: 'x', progress, shard })).toEqual({
    text: 'layers 0–2',
    mark: 'done',
  });
  expect(tabLine({ phase: 'detecting', detail: 'Looking for a GPU.' }).text).toBe('Looking for a GPU.');
  const error = { code: 'NO_ADAPTER' as const, message: 'none\x1b[2J' };
  expect(tabLine({ phase: 'failed', detail: '', error })).toEqual({
    text: 'failed: NO_ADAPTER: none [2J',
    mark: 'trouble',
  });
  expect(tabLine({ phase: 'lost', detail: 'the tab crashed', error }).text).toBe('lost: the tab crashed');
});

const status = {
  provider: 'fxn',
  pipeline: {
    epoch: 1,
    stages: [
      { peer: 'p1', name: 'tab-2', shard: { start: 0, end: 5, embedding: true, head: false } },
      { peer: 'p2', name: 'tab-1', shard: { start: 5, end: 8, embedding: false, head: true } },
    ],
  },
  workers: [
    {
      peer: 'p1',
      adapter: { vendor: 'google', architecture: 'swiftshader', description: '', isFallback: true },
    },
  ],
  nodes: [{ name: 'gpu:8000', provider: 'vllm', state: 'ready' }],
} as unknown as Status;
const started = {
  server: { url: 'http://127.0.0.1:9', urls: ['http://127.0.0.1:9'], selfSigned: null },
  status,
  model: 'minnow',
  question: 'Where?',
  sample: {
    text: ' Here. ',
    finishReason: 'stop',
    served: null,
    node: { name: 'mesh' },
    usage: null,
    streamMs: 0,
  },
  defaultServer: 'http://127.0.0.1:8787',
};

it('sums up who holds what, one answer, where it is and what to do next', () => {
  const lines = summaryLines(started, '8.1', 'shoal');
  expect(lines).toEqual(
    expect.arrayContaining([
      '✓ minnow runs (after 8.1 s)',
      '  tab-2  layers 0–4  google swiftshader (software: slow)',
      '  tab-1  layers 5–7',
      '  “Where?”',
      '  “Here.”',
      '  page  http://127.0.0.1:9',
      '  API   http://127.0.0.1:9/v1  (model "minnow")',
      '  shoal chat --server http://127.0.0.1:9',
      'Ctrl-C stops everything.',
    ]),
  );
});

it('sums up a proxy that does not answer yet, and a server with a certificate of its own', () => {
  const selfSigned = { pem: '', fingerprint: 'sha256:ab' };
  const lines = summaryLines(
    {
      ...started,
      server: { ...started.server, selfSigned },
      status: { ...status, pipeline: null },
      model: null,
      sample: 'the sample question was not answered: X',
      defaultServer: started.server.url,
    },
    '1.0',
    'shoal',
  );
  expect(lines[0]).toBe('✓ Shoal runs (after 1.0 s)');
  expect(lines).toContain('  gpu:8000  vllm  ready');
  expect(lines).toContain('  ! the sample question was not answered: X');
  expect(lines).toContain('  shoal chat --tls-fingerprint sha256:ab');
  expect(lines.join('\n')).toContain('certificate sha256:ab');
});
