import type { Status } from '../mesh/protocol/status.ts';

/** Servers that whole requests go to: those of the operator's configuration, and what providers lend. */
export function NodesView({ nodes }: { readonly nodes: Status['nodes'] }) {
  return (
    <ul class="nodes">
      {nodes.map(({ id, name, state, models, lastError }) => (
        <li key={id} class="stage">
          <strong>{name}</strong>
          <span class="small">
            {models.slice(0, 3).join(', ') || 'no model'}
            {models.length > 3 && ` and ${models.length - 3} more`}
          </span>
          <span class="muted small">{state === 'failing' && lastError !== null ? lastError : state}</span>
        </li>
      ))}
    </ul>
  );
}
