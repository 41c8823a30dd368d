import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { iceServer, joinKey, serverAddress, wholeNumber } from '../../src/cli/option-values.ts';

describe('iceServer', () => {
  it('collects STUN and TURN servers', () => {
    const stun = iceServer('stun:a.test:3478');
    expect(iceServer('turns:b.test:5349,user,s3cret', stun)).toEqual([
      { urls: 'stun:a.test:3478' },
      { urls: 'turns:b.test:5349', username: 'user', credential: 's3cret' },
    ]);
  });

  it.each([
    '',
    'a.test',
    'stun:',
    'stun:a.test,user,s3cret',
    'turn:a.test',
    'turn:a.test,user',
    'turn:a,b,c,d',
  ])('refuses %j', (text) => expect(() => iceServer(text)).toThrow(InvalidArgumentError));
});

it.each(['', ' ', '1.5', '-1', '9', 'x'])('wholeNumber(0, 8) refuses %j', (text) => {
  expect(() => wholeNumber(0, 8)(text)).toThrow('from 0 to 8');
});

it('serverAddress keeps the origin', () => {
  expect(serverAddress('https://shoal.test:8443/')).toBe('https://shoal.test:8443');
  expect(() => serverAddress('ftp://shoal.test')).toThrow(InvalidArgumentError);
});

it('joinKey takes what the protocol carries, and repeats no key in a fault', () => {
  expect(joinKey('open sesame')).toBe('open sesame');
  for (const text of ['', 'x'.repeat(201)]) {
    expect(() => joinKey(text)).toThrow('It must have 1 to 200 characters.');
  }
});
