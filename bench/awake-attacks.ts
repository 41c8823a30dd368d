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
const names = (value: string) =>
  `{${Array.from({ length: Math.floor(SIZE / (9 + value.length)) }, (_, i) => `"${1e5 + i}":${value}`).join()}}`;

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
  { name: 'parameters nobody knows', ...raw('/v1/chat/completions', `${HELLO},${names('0').slice(1, -1)}`) },
  {
    name: 'biases of no token',
    ...raw('/v1/chat/completions', `${HELLO},"logit_bias":${names('0').replaceAll('"1', '"k')}`),
  },
  { name: 'token ids', ...raw('/v1/completions', `"prompt":[${items('1')}]`) },
  { name: 'token ids that are none', ...raw('/v1/completions', `"prompt":[${items('-1')}]`) },
  { name: 'stop strings', ...raw('/v1/chat/completions', `${HELLO},"stop":[${items('"a"')}]`) },
  {
    name: 'Ollama: images that are none',
    ...raw('/api/chat', `"messages":[{"role":"user","content":"","images":[${items('""')}]}]`),
  },
  { name: 'GET /openapi.json', path: '/openapi.json' },
];
