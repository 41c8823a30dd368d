import { expect, it } from 'vitest';
import { MAX_JOIN_KEY_CHARS } from '../../src/config/limits.ts';
import { takeJoinKey } from '../../src/page/join-key.ts';

function take(href: string) {
  const replaced: string[] = [];
  const key = takeJoinKey(new URL(href), (url) => replaced.push(url));
  return { key, replaced };
}

it('takes the key out of the address, and leaves the rest of it', () => {
  expect(take('http://h/?name=a#join-key=open%20sesame')).toEqual({
    key: 'open sesame',
    replaced: ['http://h/?name=a'],
  });
  expect(take('http://h/#a=1&join-key=k')).toEqual({ key: 'k', replaced: ['http://h/#a=1'] });
});

it('touches no address without one; what is sent to servers is no place for a key', () => {
  expect(take('http://h/?join-key=k#chat')).toEqual({ key: null, replaced: [] });
});

it('is bounded, as the protocol is', () => {
  expect(take(`http://h/#join-key=${'x'.repeat(999)}`).key).toHaveLength(MAX_JOIN_KEY_CHARS);
});
