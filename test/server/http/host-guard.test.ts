import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { createHostGuard, isLoopback } from '../../../src/server/http/host-guard.ts';

describe('a guard bound to loopback', () => {
  const guard = createHostGuard({ boundHost: '127.0.0.1', allowedHosts: ['shoal.example'] });

  it.each(['localhost:8787', '127.0.0.1:8787', '[::1]:8787', 'LOCALHOST', 'me.localhost', 'shoal.example'])(
    'answers to %s',
    (host) => {
      expect(guard.allowsHost(host)).toBe(true);
    },
  );

  it.each([
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '192.168.0.2',
    '',
    'a b',
    undefined,
  ])('does not answer to %s', (host) => {
    expect(guard.allowsHost(host)).toBe(false);
  });
});

describe('a guard bound to the network', () => {
  const guard = createHostGuard({
    boundHost: '0.0.0.0',
    allowedHosts: ['Mesh.example'],
    ownNames: ['Tower', 'tower.lan'],
  });

  it.each([
    'localhost:8787',
    '192.168.0.2:8787',
    '203.0.113.9',
    '[2001:db8::1]:8787',
    'tower:8787',
    'TOWER.lan',
    'tower.local',
    'mesh.example:8787',
  ])('answers to %s', (host) => {
    expect(guard.allowsHost(host)).toBe(true);
  });

  // A stranger's name that points at this machine's address.
  it.each(['evil.example:8787', '192.168.0.2.evil.example', 'tower.evil.example', 'local', '', undefined])(
    'does not answer to %s',
    (host) => {
      expect(guard.allowsHost(host)).toBe(false);
    },
  );

  it('answers to the name it is bound to, and to the one the machine calls itself', () => {
    expect(createHostGuard({ boundHost: 'mesh.example' }).allowsHost('mesh.example:1')).toBe(true);
    expect(createHostGuard({ boundHost: '::' }).allowsHost(`${hostname()}:8787`)).toBe(true);
  });
});

describe('origins', () => {
  const guard = createHostGuard({ boundHost: '127.0.0.1', allowedOrigins: ['https://friend.example'] });

  it.each([
    [undefined, 'localhost:1'],
    ['http://localhost:1', 'localhost:1'],
    ['https://localhost:1', 'localhost:1'],
    ['http://localhost', 'LOCALHOST'],
    ['https://friend.example', 'localhost:1'],
  ])('%s may use %s', (origin, host) => {
    expect(guard.allowsOrigin(origin, host)).toBe(true);
  });

  it.each([
    ['null', 'localhost:1'],
    ['http://localhost:2', 'localhost:1'],
    ['https://friend.example.evil', 'localhost:1'],
    ['http://evil.example', undefined],
    ['', 'localhost:1'],
  ])('%s may not use %s', (origin, host) => {
    expect(guard.allowsOrigin(origin, host)).toBe(false);
  });

  it('lists those of the operator, written with a slash or without', () => {
    expect(guard.isListedOrigin('https://friend.example')).toBe(true);
    const copied = createHostGuard({ boundHost: '127.0.0.1', allowedOrigins: ['https://Friend.example/'] });
    expect(copied.isListedOrigin('https://friend.example')).toBe(true);
    for (const origin of [undefined, 'null', 'http://localhost:1', 'https://friend.example.evil'])
      expect(guard.isListedOrigin(origin)).toBe(false);
  });

  it('tells loopback from other addresses', () => {
    expect(['localhost', '127.0.0.1', '127.9.9.9', '::1'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '::', '192.168.0.1', '127.evil'].some(isLoopback)).toBe(false);
  });
});
