import { describe, expect, it } from 'vitest';
import { chooseCoding } from '../../../src/server/files/content-coding.ts';

describe('Accept-Encoding', () => {
  it.each([
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip', 'gzip'],
    ['x-gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['*', 'br'],
    ['br;q=0, *', 'gzip'],
    ['br;q=0.5, gzip;q=0.8', 'gzip'],
    ['gzip;q=1.0, br;q=1.0', 'br'],
    ['gzip ; q=0.001', 'gzip'],
    ['identity;q=0.5, gzip;q=0.5', 'gzip'],
    ['identity;q=0, gzip', 'gzip'],
  ])('%s takes %s', (header, coding) => {
    expect(chooseCoding(header, ['br', 'gzip'])).toBe(coding);
  });

  it.each([
    undefined,
    '',
    'identity',
    'zstd, deflate',
    'gzip;q=0',
    'gzip;q=0, br;q=0.000',
    '*;q=0',
    'identity, gzip;q=0.5',
    'gzip;q=nonsense',
    // Refused as well, but there is nothing else.
    'identity;q=0, compress',
  ])('%s gets the plain bytes', (header) => {
    expect(chooseCoding(header, ['br', 'gzip'])).toBeNull();
  });

  it('names only what there is', () => {
    expect(chooseCoding('br, gzip;q=0.1', ['gzip'])).toBe('gzip');
    expect(chooseCoding('br, gzip', [])).toBeNull();
  });
});
