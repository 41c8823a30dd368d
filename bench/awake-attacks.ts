/** What a client can send to keep a server busy: each body just below the native engine's bound of a megabyte. */

export interface Attack {
  readonly name: string;
  readonly path: string;
  /** Undefined: GET. */
  readonly body?: string;
}

const SIZE = 1_000_000;
const MODEL = 'bench';
const fill = (piece: string) => piece.repeat(Math.floor(SIZE / Buffer.byteLength(piece)));
const items = (item: string) => fill(`${item},`).slice(0, -1);
const raw = (path: string, more: string) => ({ path, body: `{"model":"${MODEL}",${more}}` });
const completion = (prompt: string) =>
  raw('/v1/completions', `"max_tokens":1,"prompt":${JSON.stringify(prompt)}`);
const chat = (content: string) =>
  raw(
    '/v1/chat/completions',
    `"max_tokens":1,"messages":[{"role":"user","content":${JSON.stringify(content)}}]`,
  );
const HELLO = '"messages":[{"role":"user","content":"Hello"}]';
const names = (letter: string, count = Math.floor(SIZE / 12)) =>
  Array.from({ length: count }, (_, i) => `"${letter}${1e5 + i}":0`).join();

export const ATTACKS: readonly Attack[] = [
  { name: 'raw text of common words', ...completion(fill('a fish ')) },
  { name: 'one word of a megabyte', ...completion(fill('a')) },
  { name: 'spaces', ...completion(fill(' ')) },
  { name: 'combining accents', ...chat(`e${fill('\u0301')}`) },
  { name: 'emoji', ...chat(fill('🐟')) },
  { name: 'special tokens, spelled', ...chat(fill('<|end|>')) },
  {
    name: '1,024 messages',
    ...raw(
      '/v1/chat/completions',
      `"messages":[${Array.from({ length: 1_024 }, () => `{"role":"user","content":"${'fish '.repeat(180)}"}`).join()}]`,
    ),
  },
  { name: 'empty objects', ...raw('/v1/chat/completions', `${HELLO},"metadata":[${items('{}')}]`) },
  {
    name: 'lists within lists',
    ...raw('/v1/chat/completions', `${HELLO},"metadata":${'['.repeat(SIZE / 2)}${']'.repeat(SIZE / 2)}`),
  },
  { name: 'messages that are none', ...raw('/v1/chat/completions', `"messages":[${items('{}')}]`) },
  { name: 'parameters nobody knows', ...raw('/v1/chat/completions', `${HELLO},${names('p')}`) },
  {
    name: 'biases of no token',
    ...raw('/v1/chat/completions', `${HELLO},"logit_bias":{${names('k')}}`),
  },
  {
    name: 'keys of messages that nobody knows',
    ...raw(
      '/v1/chat/completions',
      `"messages":[${Array.from({ length: 1_000 }, () => `{"role":"user","content":"a",${names('m', 30)}}`).join()}]`,
    ),
  },
  {
    name: 'names for the chat template',
    ...raw(
      '/v1/chat/completions',
      `${HELLO},"chat_template_kwargs":{${names('t', 16_000).replaceAll(':0', ':[]')}}`,
    ),
  },
  { name: 'token ids', ...raw('/v1/completions', `"prompt":[${items('1')}]`) },
  { name: 'token ids that are none', ...raw('/v1/completions', `"prompt":[${items('-1')}]`) },
  { name: 'stop strings', ...raw('/v1/chat/completions', `${HELLO},"stop":[${items('"a"')}]`) },
  {
    name: 'Ollama: images that are none',
    ...raw('/api/chat', `"messages":[{"role":"user","content":"","images":[${items('""')}]}]`),
  },
  {
    name: 'Ollama: context of what is no id',
    ...raw('/api/generate', `"prompt":"a","context":[${items('1.5')}]`),
  },
  { name: 'GET /openapi.json', path: '/openapi.json' },
];
