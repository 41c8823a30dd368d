import { expect, it } from 'vitest';
import { configChanges } from '../../src/config/config-changes.ts';
import { parseModelBackend } from '../../src/config/model-backend.ts';

const config = (source: string, env: NodeJS.ProcessEnv = {}) => parseModelBackend(source, 'f.yaml', env);
const changes = (before: string, after: string) => configChanges(config(before), config(after));

const CUSTOM = 'backend_provider: custom\nurl: http://127.0.0.1:1\n';

it('finds none where both mean the same, however they are written', () => {
  expect(changes(CUSTOM, `# a comment\nurl: "http://127.0.0.1:1/"\nbackendProvider: "custom"`)).toEqual([]);
  expect(changes('', 'backend_provider: fxn')).toEqual([]);
  expect(changes(`${CUSTOM}api_key: abc`, `${CUSTOM}api_key: "abc"`)).toEqual([]);
});

it('names what changed in the file’s own spelling', () => {
  expect(changes(CUSTOM, CUSTOM.replace(':1\n', ':2\n'))).toEqual([
    'nodes[0].url "http://127.0.0.1:1" → "http://127.0.0.1:2"',
  ]);
  expect(changes(CUSTOM, `${CUSTOM}model_name_alias: m`)).toEqual(['nodes[0].model_name_alias added: "m"']);
  expect(changes(`${CUSTOM}model_name_alias: m`, CUSTOM)).toEqual(['nodes[0].model_name_alias removed']);
  expect(changes('backend_provider: fxn', CUSTOM)).toContain('backend_provider "fxn" → "custom"');
});

it('tells that a secret is another one, and nothing of either', () => {
  const keyed = (key: string) => `${CUSTOM}api_key: ${key}`;
  expect(changes(keyed('sk-old'), keyed('sk-new'))).toEqual(['nodes[0].api_key changed']);
  expect(changes(CUSTOM, keyed('sk-new'))).toEqual(['nodes[0].api_key added']);
  expect(changes(keyed('sk-old'), CUSTOM)).toEqual(['nodes[0].api_key removed']);
});

it('sees an environment variable that has another value', () => {
  const source = `${CUSTOM}api_key: \${KEY}`;
  const [old, next] = [config(source, { KEY: 'sk-old' }), config(source, { KEY: 'sk-new' })];
  expect(configChanges(old, next)).toEqual(['nodes[0].api_key changed']);
});
