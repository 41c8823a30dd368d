import type { Status } from '../mesh/protocol/status.ts';

const PILLS = {
  ready: 'serving',
  busy: 'serving',
  failing: 'failed',
  probing: 'waiting',
  unknown: 'waiting',
} as const satisfies Record<Status['nodes'][number]['state'], string>;

/** Servers that whole requests go to: those of the operator's configuration, and what providers lend. */
export function NodesView({ nodes }: { readonly nodes: Status['nodes'] }) {
  return (
    <ul class="nodes">
      {nodes.map(({ id, name, state, models, lastError, lender }) => (
        <li key={id} class="node">
          <div class="card-head">
            <strong>{name}</strong>
            <span class={`pill ${PILLS[state]}`}>{state}</span>
          </div>
          <span class="small">
            {models.slice(0, 3).join(', ') || 'no model'}
            {models.length > 3 && ` and ${models.length - 3} more`}
          </span>
          <span class="muted small">
            {lender ? 'lent by its owner, who can read what is asked' : 'from this server’s configuration'}
          </span>
          {state === 'failing' && lastError !== null && <span class="muted small">{lastError}</span>}
        </li>
      ))}
    </ul>
  );
}
