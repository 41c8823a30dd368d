/** Which nodes of a pool have a model, and which models the pool has. */
import { ShoalError } from '../../config/errors.ts';
import { NODE_FRESH_MS, NODE_MODELS_MS, NODE_MODELS_WAIT_MS } from '../../config/limits.ts';
import type { ModelInfo } from '../backend.ts';
import type { Clock } from '../clock.ts';
import { modelHint } from '../model-hint.ts';
import { unlessSilent } from '../openai/sse.ts';
import type { NodePool } from './node-pool.ts';
import type { PooledNode } from './pooled-node.ts';

/**
 * The nodes that list `model`, with those whose list has not come yet. Where none lists it, the nodes that answer to any
 * name: they stand in for no model that another node has. A pool of one gives that one, whose own answer says more.
 *
 * Known at once unless the name is in no list: then lists that are not fresh are asked for first.
 * @throws MODEL_NOT_FOUND
 */
export function nodesWith(
  pool: NodePool,
  model: string | undefined,
  clock: Clock,
): readonly PooledNode[] | Promise<readonly PooledNode[]> {
  const { nodes } = pool;
  if (nodes.length <= 1 || model === undefined) return nodes;
  for (const node of nodes) refreshOld(node);
  const found = listing(nodes, model);
  if (found.length > 0) return found;
  const unsure = nodes.filter(({ models }) => models.isOlderThan(NODE_FRESH_MS));
  const asked = unsure.map(({ models }) => ask(models));
  if (asked.every((waiting) => waiting === null)) return orAny(nodes, model);
  return Promise.all(
    asked.map((waiting) => waiting && unlessSilent(waiting, clock, NODE_MODELS_WAIT_MS)),
  ).then(() => {
    const late = listing(pool.nodes, model);
    return late.length > 0 ? late : orAny(pool.nodes, model);
  });
}

/**
 * Each model once, as the first node that lists it describes it; in the order of the nodes and of their lists, for
 * clients take the first for the default.
 * @throws why no node's list is known
 */
export async function allModels(pool: NodePool, clock: Clock): Promise<readonly ModelInfo[]> {
  const { nodes } = pool;
  await Promise.all(
    nodes
      .filter(({ models }) => models.isOlderThan(NODE_FRESH_MS))
      .map(({ models }) => {
        const waiting = models.refresh();
        return models.value === null ? waiting : unlessSilent(waiting, clock, NODE_MODELS_WAIT_MS);
      }),
  );
  const lists = nodes.map(({ models }) => models.value).filter((list) => list !== null);
  if (lists.length === 0) throw nodes[0]?.models.error ?? noNode();
  const all = new Map<string, ModelInfo>();
  for (const model of lists.flat()) if (!all.has(model.id)) all.set(model.id, model);
  return [...all.values()];
}

export const noNode = () =>
  new ShoalError('BACKEND_UNAVAILABLE', 'no node is connected to this server; try again when one is', {
    retryAfterSeconds: NODE_FRESH_MS / 1000,
  });

function listing(nodes: readonly PooledNode[], model: string): readonly PooledNode[] {
  const listed = nodes.filter((node) => node.lists(model) === true);
  return listed.length === 0 ? [] : nodes.filter((node) => node.lists(model) ?? !node.node.anyModel);
}

/** Without a list that names it: whoever takes any name, else whoever may list it yet. */
function orAny(nodes: readonly PooledNode[], model: string): readonly PooledNode[] {
  const any = nodes.filter(({ node }) => node.anyModel);
  if (any.length > 0) return any;
  const unknown = nodes.filter(({ models }) => models.value === null);
  if (unknown.length > 0) return unknown;
  const known = nodes.flatMap(({ models }) => models.value ?? []).map(({ id }) => id);
  const names = [...new Set(known)];
  const what = `no model "${model.slice(0, 80)}" on any node${modelHint(model, names)}`;
  throw new ShoalError('MODEL_NOT_FOUND', what, { param: 'model' });
}

function refreshOld({ models }: PooledNode): void {
  if (models.value !== null && models.isOlderThan(NODE_MODELS_MS)) void ask(models);
}

/** Null where it was asked just now and does not answer again. */
function ask(models: PooledNode['models']): Promise<void> | null {
  return models.isAsking || !models.wasAskedWithin(NODE_FRESH_MS) ? models.refresh() : null;
}
