import type { Status } from './status.ts';

/** Who can answer, in a sentence. What the nodes of the list below it say of themselves is not said twice. */
export function readinessText({ detail, nodes }: Pick<Status, 'detail' | 'nodes'>): string {
  return nodes.reduce(
    (text, { name, lastError }) => (lastError === null ? text : text.replace(`; ${name}: ${lastError}`, '')),
    detail,
  );
}
