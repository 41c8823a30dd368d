/**
 * The figures in comments of src/config/limits.ts about bodies and prompt threads: `npx tsx tools/measure-bounds.ts` prints
 * them for your machine. Times are those of the process on its cores, so that other work counts little.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openThreadedPrompts } from '../src/backend/fxn/threaded-prompts.ts';
import {
  MAX_JSON_CONTAINERS,
  MAX_JSON_NAMES,
  MAX_JSON_TEXTS,
  MAX_JSON_VALUES,
  MAX_PROXY_BODY_BYTES,
  MAX_PROXY_JSON_VALUES,
  MAX_SMALL_PROMPT_CHARS,
  MIB,
} from '../src/config/limits.ts';
import { openModelDirectory } from '../src/model/directory.ts';

const SELF = fileURLToPath(import.meta.url);
const MINNOW = fileURLToPath(new URL('../models/minnow', import.meta.url));
const VOCAB = 150_000;
const RUNS = 5;

const list = (count: number, item: (i: number) => string) =>
  `[${Array.from({ length: count }, (_, i) => item(i)).join()}]`;
const object = (count: number, from = 0) =>
  `{${Array.from({ length: count }, (_, i) => `"k${from + i}":0`).join()}}`;
const BODIES: Readonly<Record<string, string>> = {
  [`${MAX_JSON_NAMES} names, unlike, in one object`]: object(MAX_JSON_NAMES),
  [`${MAX_JSON_NAMES} names, unlike, in ${MAX_JSON_CONTAINERS} objects`]: list(MAX_JSON_CONTAINERS, (i) =>
    object(MAX_JSON_NAMES / MAX_JSON_CONTAINERS, 2 * i),
  ),
  [`${4 * MAX_JSON_NAMES} names, beyond the bound`]: object(4 * MAX_JSON_NAMES),
  [`${MAX_JSON_TEXTS} texts, unlike`]: list(MAX_JSON_TEXTS, (i) => `"t${i}"`),
  '1000000 texts, beyond the bound': list(1_000_000, (i) => `"t${i}"`),
  [`${MAX_JSON_VALUES} token ids`]: list(MAX_JSON_VALUES, (i) => String(i % 50_000)),
  [`${MAX_PROXY_JSON_VALUES} token ids`]: list(MAX_PROXY_JSON_VALUES, (i) => String(i % 50_000)),
  [`one text of ${MAX_PROXY_BODY_BYTES} B`]: JSON.stringify('a'.repeat(MAX_PROXY_BODY_BYTES - 2)),
};

function cpuMs(act: () => void): number {
  const before = process.cpuUsage();
  act();
  return usedMs(before);
}

/** Of all threads. */
function usedMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

/** A tokenizer of so many ids: each further one is two of minnow's, merged. */
async function largeTokenizer(folder: string): Promise<void> {
  const json = async (name: string) => JSON.parse(await readFile(join(MINNOW, name), 'utf8'));
  const tokenizer = await json('tokenizer.json');
  const vocab: Record<string, number> = tokenizer.model.vocab;
  const words = Object.keys(vocab).filter((word) => !word.startsWith('<'));
  let id = Math.max(...Object.values(vocab), ...tokenizer.added_tokens.map((t: { id: number }) => t.id)) + 1;
  for (const a of words) {
    for (const b of words) {
      if (id === VOCAB) break;
      if (a + b in vocab || b.startsWith('Ġ')) continue;
      vocab[a + b] = id++;
      tokenizer.model.merges.push([a, b]);
    }
  }
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(await json('tokenizer_config.json')));
}

/** In a process of its own: what threads add to it, and how long they read. */
async function child(folder: string, vocab: number): Promise<void> {
  const { defaultEosTokenId, chatTemplate, spec: small } = await openModelDirectory(MINNOW);
  const rss: number[] = [process.memoryUsage().rss];
  const spec = { ...small, vocab, contextLength: 1_000_000 };
  const { prompts } = await openThreadedPrompts({
    id: 'measured',
    path: folder,
    spec,
    defaultEosTokenId,
    chatTemplate,
  });
  rss.push(process.memoryUsage().rss);
  const { signal } = new AbortController();
  const text = 'Fish swim in the sea, and a boat is on it. '.repeat(MAX_SMALL_PROMPT_CHARS);
  const read = () => prompts.completion(text.slice(0, MAX_SMALL_PROMPT_CHARS), { signal });
  const times: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const before = process.cpuUsage();
    await read();
    times.push(usedMs(before));
  }
  rss.push(process.memoryUsage().rss);
  // Small ones beside a large one want a second thread; several rounds, so that it has started.
  const large = () => prompts.completion(text.slice(0, 8 * MAX_SMALL_PROMPT_CHARS), { signal });
  for (let i = 0; i < RUNS; i++) await Promise.all([large(), read(), read()]);
  rss.push(process.memoryUsage().rss);
  process.send?.({ rss, times });
  await prompts.close();
}

const [folder, vocab] = process.argv.slice(2);
if (folder !== undefined) await child(folder, Number(vocab));
else {
  console.log(`${cpus()[0]?.model ?? '?'} (${cpus().length} cores), Node ${process.version}\n`);
  console.log(`JSON.parse, ms of ${RUNS} runs, least and most`);
  for (const [name, body] of Object.entries(BODIES)) {
    const times = Array.from({ length: RUNS }, () => cpuMs(() => JSON.parse(body)));
    console.log(`  ${name}: ${Math.min(...times).toFixed(1)} to ${Math.max(...times).toFixed(1)}`);
  }
  const large = await mkdtemp(join(tmpdir(), 'shoal-bounds-'));
  try {
    await largeTokenizer(large);
    console.log('\nMemory of a process with prompt threads (process.memoryUsage().rss), MiB');
    for (const [name, ...args] of [
      ['minnow', MINNOW, '2048'],
      [`${VOCAB} tokens, made up`, large, String(VOCAB)],
    ] as const) {
      const measured = fork(SELF, args, { execArgv: ['--import', 'tsx'] });
      const [{ rss, times }] = (await once(measured, 'message')) as [{ rss: number[]; times: number[] }];
      const [none, one, used, two] = rss.map((bytes) => (bytes / MIB).toFixed(0));
      console.log(
        `  ${name}: without ${none}, one thread ${one}, after its first prompts ${used}, two threads ${two}`,
      );
      const [least, most] = [Math.min(...times), Math.max(...times)].map((ms) => ms.toFixed(0));
      console.log(`    ${MAX_SMALL_PROMPT_CHARS} characters read in ${least} to ${most} ms`);
    }
  } finally {
    await rm(large, { recursive: true, force: true });
  }
}
