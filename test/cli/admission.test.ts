import { describe, expect, it } from 'vitest';
import { admissionOf } from '../../src/cli/admission.ts';
import { turnUrl } from '../../src/cli/option-values.ts';
import { Secret } from '../../src/config/secret.ts';

const URLS = ['turn:turn.test:3478'];

describe('what a server asks workers for', () => {
  it('comes from the flag, else from the environment, else from the file', () => {
    const env = { SHOAL_JOIN_KEY: 'from the environment' };
    expect(admissionOf({}, {})).toEqual({});
    expect(admissionOf({}, env).joinKey?.reveal()).toBe('from the environment');
    expect(admissionOf({ joinKey: 'from the flag' }, env).joinKey?.reveal()).toBe('from the flag');
    expect(admissionOf({}, { SHOAL_JOIN_KEY: '' })).toEqual({});
    const file = { joinKey: new Secret('from the file') };
    expect(admissionOf({ joinKey: 'from the flag' }, env, file).joinKey?.reveal()).toBe('from the flag');
    expect(admissionOf({}, env, file).joinKey?.reveal()).toBe('from the environment');
    expect(admissionOf({}, {}, file).joinKey?.reveal()).toBe('from the file');
  });

  it('cannot be guessed by trying', () => {
    expect(() => admissionOf({ joinKey: 'sesame' }, {})).toThrow('has 6 characters, and must have 8 to 200');
    expect(() => admissionOf({}, { SHOAL_JOIN_KEY: 'x'.repeat(201) })).toThrow('has 201 characters');
  });
});

describe('relays', () => {
  it('have a secret, from the flag or the environment', () => {
    expect(admissionOf({ turnUrl: URLS, turnSecret: 'a' }, {}).turn?.secret.reveal()).toBe('a');
    expect(admissionOf({ turnUrl: URLS }, { SHOAL_TURN_SECRET: 'b' })).toMatchObject({
      turn: { urls: URLS },
    });
    expect(admissionOf({}, { SHOAL_TURN_SECRET: 'b' })).toEqual({});
    const file = { turnUrls: URLS, turnSecret: new Secret('c') };
    expect(admissionOf({}, {}, file).turn?.secret.reveal()).toBe('c');
    expect(admissionOf({}, { SHOAL_TURN_SECRET: 'b' }, file).turn?.secret.reveal()).toBe('b');
    expect(admissionOf({ turnUrl: ['turn:b.test'] }, {}, file).turn?.urls).toEqual(['turn:b.test']);
    expect(() => admissionOf({ turnUrl: URLS }, {})).toThrow('SHOAL_TURN_SECRET');
    expect(() => admissionOf({ turnSecret: 'a' }, {})).toThrow('--turn-url');
  });

  it('are turn: or turns: and nothing else', () => {
    expect(turnUrl('turns:b.test:5349', turnUrl('turn:a.test:3478?transport=udp'))).toEqual([
      'turn:a.test:3478?transport=udp',
      'turns:b.test:5349',
    ]);
    for (const text of [
      '',
      'stun:a.test',
      'turn:a.test,user,credential',
      'turn:user@a.test',
      'https://a.test',
    ])
      expect(() => turnUrl(text)).toThrow('turn:host:port');
  });
});
