import { describe, expect, it } from 'vitest';
import { readinessText } from '../../src/mesh/protocol/readiness-text.ts';

const node = (name: string, lastError: string | null) => ({
  id: name,
  name,
  provider: 'custom' as const,
  state: lastError === null ? ('ready' as const) : ('failing' as const),
  inFlight: 0,
  maxConcurrent: 4,
  models: [],
  timeToFirstTokenMs: null,
  tokensPerSecond: null,
  lastError,
});

describe('readinessText', () => {
  it('leaves to the list of nodes what each of them says', () => {
    const detail = '1 of 3 nodes are ready; a: refused; look at it; b: no address';
    const nodes = [node('a', 'refused; look at it'), node('b', 'no address'), node('c', null)];
    expect(readinessText({ detail, nodes })).toBe('1 of 3 nodes are ready');
  });

  it('keeps what no node of the list says', () => {
    const detail = '1 of 2 nodes are ready; a: loading the model';
    expect(readinessText({ detail, nodes: [node('a', null), node('b', null)] })).toBe(detail);
  });
});
