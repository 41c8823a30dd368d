import { ShoalError } from '../../config/errors.ts';
import { RETRY_AFTER_SECONDS } from '../../config/limits.ts';
import { noNode } from './models.ts';
import type { PooledNode } from './pooled-node.ts';

/**
 * Why none of the nodes that have the model takes a request now.
 * @returns OVERLOADED where one only has no room, BACKEND_UNAVAILABLE where all are failing; with the time until the first may be back
 */
export function noRoom(nodes: readonly PooledNode[]): ShoalError {
  if (nodes.length === 0) return noNode();
  const busy = nodes.filter((node) => !node.isFailing);
  const many = nodes.length > 1;
  if (busy.length > 0) {
    const inFlight = busy.reduce((sum, node) => sum + node.inFlight, 0);
    const places = busy.reduce((sum, { node }) => sum + node.maxConcurrent, 0);
    const failing = nodes.length - busy.length;
    const who = many ? `${busy.length} of ${nodes.length} nodes are` : 'the node is';
    const pausing = busy.some(({ waitMs }) => waitMs > 0) ? ', or asked for a pause' : '';
    const rest = failing > 0 ? `; the other ${failing} failed` : '';
    const retryAfterSeconds = soonestSeconds(busy) || RETRY_AFTER_SECONDS;
    return new ShoalError(
      'OVERLOADED',
      `${who} busy with ${inFlight} of ${places} requests${pausing}${rest}; send the request again in ${retryAfterSeconds} s`,
      { retryAfterSeconds },
    );
  }
  const retryAfterSeconds = soonestSeconds(nodes);
  return new ShoalError(
    'BACKEND_UNAVAILABLE',
    `${many ? `all ${nodes.length} nodes have` : 'the node has'} failed, the next try is in ${retryAfterSeconds} s: ${nodes[0]!.lastError ?? 'look at its log'}`,
    { retryAfterSeconds },
  );
}

/** Whole seconds until the first of them may have room; 0 where one only waits for a request to end. */
function soonestSeconds(nodes: readonly PooledNode[]): number {
  return Math.ceil(Math.min(...nodes.map(({ waitMs }) => waitMs)) / 1000);
}
