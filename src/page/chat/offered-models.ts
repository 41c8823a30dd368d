import type { Status } from '../../mesh/protocol/status.ts';

const canAnswer = ({ state }: Status['nodes'][number]) => state === 'ready' || state === 'busy';

/** What a chat can ask for, those first that a node can answer now. */
export function offeredModels(status: Status | null): readonly string[] {
  if (status === null) return [];
  const nodes = status.nodes.toSorted((a, b) => Number(canAnswer(b)) - Number(canAnswer(a)));
  const models = nodes.flatMap((node) => node.models);
  return [...new Set([...models, ...(status.model === null ? [] : [status.model.id])])];
}
