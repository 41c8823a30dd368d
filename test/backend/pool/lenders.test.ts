import { afterEach, describe, expect, it } from 'vitest';
import type { AnsweringNode, Lender } from '../../../src/backend/backend.ts';
import { NodePool } from '../../../src/backend/pool/node-pool.ts';
import { createRoutedBackend } from '../../../src/backend/pool/routed.ts';
import { readLenders, readServedBy, writeServedBy } from '../../../src/backend/served-by.ts';
import { ScriptedBackend } from '../../support/scripted-backend.ts';

const ANN: Lender = { id: 'provider-1-aa', name: 'Ann' };
const BOB: Lender = { id: 'provider-2-bb', name: 'Bob' };
const settled = () => new Promise((done) => setImmediate(done));

const pools: NodePool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});

/** Each node lists `m` and answers at once. */
async function poolOf(...lenders: (Lender | undefined)[]) {
  const pool = new NodePool();
  pools.push(pool);
  const nodes = lenders.map((lender, i) => {
    const backend = new ScriptedBackend();
    backend.answer = (call) => call.ends();
    pool.add({
      id: `n${i}`,
      name: lender ? `${lender.name} (ollama)` : 'host:1',
      backend,
      maxConcurrent: 4,
      anyModel: false,
      ...(lender && { lender }),
    });
    return backend;
  });
  await settled();
  const routed = createRoutedBackend({ pool, provider: 'custom' });
  const asked = async (allowed?: readonly Lender[]) => {
    const by: AnsweringNode[] = [];
    const response = await routed.chatCompletions(
      { model: 'm' },
      {
        signal: new AbortController().signal,
        onRouted: (node) => by.push(node),
        ...(allowed && { lenders: new Set(allowed.map(({ id }) => id)) }),
      },
    );
    expect(response.ok).toBe(true);
    return by;
  };
  return { pool, nodes, asked };
}

describe('a request', () => {
  it('goes only to lenders that it allows, whoever is free', async () => {
    const { nodes, asked } = await poolOf(ANN, BOB);
    for (let i = 0; i < 5; i++) expect(await asked([BOB])).toEqual([{ name: 'Bob (ollama)', lender: BOB }]);
    expect(nodes.map(({ calls }) => calls.length)).toEqual([0, 5]);
  });

  it('goes to any without the header, and always to the server’s own', async () => {
    const { asked } = await poolOf(undefined, ANN);
    const by = [...(await asked()), ...(await asked())].map(({ name }) => name);
    expect(by.toSorted()).toEqual(['Ann (ollama)', 'host:1']);
    for (let i = 0; i < 3; i++) expect(await asked([])).toEqual([{ name: 'host:1' }]);
  });

  it('is refused, and sent to nobody, where others alone have the model', async () => {
    const { nodes, asked } = await poolOf(ANN);
    const refusal = { code: 'MODEL_NOT_FOUND', message: expect.stringContaining('lent by "Ann" only') };
    await expect(asked([BOB])).rejects.toMatchObject(refusal);
    expect(nodes[0]!.calls).toEqual([]);
  });
});

it('a status names the lender of a node that is lent', async () => {
  const { pool } = await poolOf(undefined, ANN);
  expect(pool.statuses().map(({ lender }) => lender)).toEqual([undefined, ANN]);
});

it('the headers carry names in any script', () => {
  const node = { name: 'Çağ & co (ollama)', lender: { id: 'provider-1-aa', name: '水=あ' } };
  const header = writeServedBy(node);
  expect(header).toMatch(/^[!-~]*$/);
  expect(readServedBy(header)).toEqual(node);
  expect(readServedBy(writeServedBy({ name: 'mesh' }))).toEqual({ name: 'mesh' });
  expect(readServedBy(null)).toBeNull();
  expect(readLenders(undefined)).toBeUndefined();
  expect([...readLenders('a, b')!]).toEqual(['a', 'b']);
  expect(readLenders('')!.has('a')).toBe(false);
});
