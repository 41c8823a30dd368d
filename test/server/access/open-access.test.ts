import { pino } from 'pino';
import { expect, it } from 'vitest';
import { openAccess } from '../../../src/server/access/open-access.ts';

function warningsOf(host: string): string {
  let logged = '';
  const log = pino(
    {},
    {
      write(line) {
        logged += line;
      },
    },
  );
  openAccess({}, { host, now: () => 0, log });
  return logged;
}

it('says that everyone may use a server on the network that asks for no keys', () => {
  expect(warningsOf('0.0.0.0')).toContain('everyone who reaches 0.0.0.0 may use the API');
  expect(warningsOf('127.0.0.1')).toBe('');
  expect(warningsOf('::1')).toBe('');
});

it('does not open with a broken key file', () => {
  const log = pino({ level: 'silent' });
  const open = () => openAccess({ keyFile: '/nowhere/keys.json' }, { host: '127.0.0.1', now: () => 0, log });
  expect(open).toThrow(/cannot be read \(ENOENT\)/);
});
