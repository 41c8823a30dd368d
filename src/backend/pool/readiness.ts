import { NODE_FRESH_MS } from '../../config/limits.ts';
import type { Readiness } from '../backend.ts';
import type { NodePool } from './node-pool.ts';
import type { PooledNode } from './pooled-node.ts';

/** Names of nodes that are not ready, with their reasons, in one sentence for people. */
const MAX_NAMED_NODES = 4;

/** Ready when any node is. A node is asked when what it said has aged, or its last request failed. */
export async function poolReadiness(pool: NodePool): Promise<Readiness> {
  const answers = await Promise.all(
    pool.nodes.map(async (node) => ({ name: node.node.name, ...(await nodeReadiness(node)) })),
  );
  const [only] = answers;
  if (only === undefined) return { ready: false, detail: 'no node is connected' };
  if (answers.length === 1) return { ready: only.ready, detail: only.detail };
  const missing = answers.filter(({ ready }) => !ready);
  const readyCount = answers.length - missing.length;
  const reasons = missing
    .slice(0, MAX_NAMED_NODES)
    .map(({ name, detail }) => `${name}: ${detail}`)
    .join('; ');
  return {
    ready: readyCount > 0,
    detail: `${readyCount} of ${answers.length} nodes are ready${reasons === '' ? '' : `; ${reasons}`}`,
  };
}

async function nodeReadiness(node: PooledNode): Promise<Readiness> {
  // The mesh's readiness lies in this process, and changes with every worker.
  const isLocal = node.node.backend.provider === 'fxn';
  if (isLocal || node.readiness.isOlderThan(NODE_FRESH_MS)) await node.probe();
  const said = node.readiness.value ?? { ready: false, detail: 'it did not say yet whether it is ready' };
  if (!node.isOpen || node.isLastResort) return said;
  return { ready: false, detail: node.lastError ?? said.detail };
}
