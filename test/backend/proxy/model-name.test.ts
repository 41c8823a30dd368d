import { describe, expect, it } from 'vitest';
import { renameInMessage, renameModel } from '../../../src/backend/proxy/model-name.ts';

describe('renameModel', () => {
  it.each([
    ['{"id":"a","model":"theirs","x":1}', '{"id":"a","model":"ours","x":1}'],
    ['{ "model" :\n "theirs" }', '{ "model" :\n "ours" }'],
    ['{"model":"a\\"b\\\\"}', '{"model":"ours"}'],
    ['{"a":{"model":"theirs"},"model":"theirs"}', '{"a":{"model":"theirs"},"model":"ours"}'],
    ['{"a":["model","theirs"],"b":[{"model":"x"}]}', '{"a":["model","theirs"],"b":[{"model":"x"}]}'],
    ['{"a":"model","b":"model"}', '{"a":"model","b":"model"}'],
    ['{"mod\\u0065l":"theirs"}', '{"mod\\u0065l":"ours"}'],
    ['{"model":"x","model":"y"}', '{"model":"ours","model":"ours"}'],
    ['{"model":null}', '{"model":null}'],
    ['{"model":{"model":"x"}}', '{"model":{"model":"x"}}'],
    ['{"a":"}{][,\\"model\\":","model":"x"}', '{"a":"}{][,\\"model\\":","model":"ours"}'],
    // Parsing and writing anew would change each of these.
    [
      '{"n":12345678901234567890,"f":1.0,"e":"\\u00e9\\/","model":"x"}',
      '{"n":12345678901234567890,"f":1.0,"e":"\\u00e9\\/","model":"ours"}',
    ],
    ['{}', '{}'],
  ])('%s', (json, expected) => {
    expect(renameModel(json, 'ours')).toBe(expected);
  });

  it('writes any name as JSON', () => {
    expect(JSON.parse(renameModel('{"model":"x","a":"é🐟"}', 'o"u\\r$&s'))).toEqual({
      model: 'o"u\\r$&s',
      a: 'é🐟',
    });
  });
});

describe('renameInMessage', () => {
  const rename = (message: string, theirs = 'llama3') => renameInMessage(message, theirs, 'mine');

  it.each([
    ['The model `llama3` does not exist.', 'The model `mine` does not exist.'],
    ["The model 'llama3' does not exist", "The model 'mine' does not exist"],
    ['model "llama3" not found', 'model "mine" not found'],
    ['Model llama3 is loading.', 'Model mine is loading.'],
    ['no such model: llama3', 'no such model: mine'],
    ['model=llama3', 'model=mine'],
    ['the model llama3.', 'the model mine.'],
    ['The model “llama3” is gone', 'The model “mine” is gone'],
  ])('%s', (message, expected) => {
    expect(rename(message)).toBe(expected);
  });

  it.each([
    'The model `llama3-8b` does not exist.',
    'model llama3-8b',
    'model llama3.1',
    'model org/llama3',
    'llama3 says',
    'model llama3:8b',
  ])('leaves "%s"', (message) => {
    expect(rename(message)).toBe(message);
  });

  it('leaves words that are names by chance', () => {
    expect(rename('the default value of n', 'default')).toBe('the default value of n');
  });

  it('takes names as they are written, and not as patterns', () => {
    expect(rename('model `a.b/c+d` and `aXb/c+d`', 'a.b/c+d')).toBe('model `mine` and `aXb/c+d`');
    expect(renameInMessage('model `x`', 'x', '$&')).toBe('model `$&`');
  });
});
