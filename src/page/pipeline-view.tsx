import { heldLayers } from '../mesh/protocol/layers-held.ts';
import { recoveryText } from '../mesh/protocol/loss-text.ts';
import { readinessText } from '../mesh/protocol/readiness-text.ts';
import type { Status } from '../mesh/protocol/status.ts';
import { spareCount, workerCount } from '../mesh/protocol/worker-counts.ts';
import { LayersView } from './layers-view.tsx';
import { NodesView } from './nodes-view.tsx';
import { ownPeer } from './own-peer.ts';
import { PipelineDrawing } from './pipeline-drawing.tsx';
import { SparesView } from './spares-view.tsx';
import { serverReachable, status } from './status.ts';

/** Who holds which layers, in the order a token travels, and who answers whole requests. */
export function PipelineView() {
  const current = status.value;
  if (!serverReachable.value) {
    return (
      <div class="notice error" role="alert">
        The server does not answer. Trying again every second…
      </div>
    );
  }
  if (current === null) return <p class="muted">Asking the server…</p>;
  const stages = current.pipeline?.stages ?? [];
  const loading = current.loading ?? null;
  const holding = new Set(
    [...stages, ...(loading?.stages ?? []), ...heldLayers(current)].map(({ peer }) => peer),
  );
  const spares = current.workers.filter(({ peer }) => !holding.has(peer));
  const workers = workerCount(current);
  const endpoints = current.nodes.filter(({ provider }) => provider !== 'fxn');
  const isMesh = current.provider === 'fxn';
  return (
    <section class="card" aria-labelledby="pipeline-title">
      <div class="card-head">
        <h2 id="pipeline-title">{isMesh ? 'Pipeline' : 'Backends'}</h2>
        <span class={`pill ${current.ready ? 'serving' : 'waiting'}`}>
          {current.ready ? 'live' : 'not ready'}
        </span>
      </div>
      {current.recovery && <p class="notice small">{recoveryText(current)}</p>}
      {stages.length > 0 ? (
        <PipelineDrawing stages={stages} workers={current.workers} />
      ) : loading !== null ? (
        <PipelineDrawing stages={loading.stages} workers={current.workers} isLoading />
      ) : null}
      <MeshState current={current} />
      <LayersView status={current} />
      <SparesView spares={spares} count={spareCount(current, spares.length)} own={ownPeer.value} />
      {endpoints.length > 0 && <NodesView nodes={endpoints} />}
      <p class="muted small">
        {current.model && `${current.model.id}, ${current.model.layers} layers · `}
        {isMesh && `${workers} worker${workers === 1 ? '' : 's'} · `}
        {current.requestsInFlight} answer
        {current.requestsInFlight === 1 ? '' : 's'} in flight
      </p>
    </section>
  );
}

/** What is not there yet, in a sentence: the whole mesh, or the next pipeline beside the one that serves. */
function MeshState({ current }: { readonly current: Status }) {
  const { pipeline, loading, recovery } = current;
  if (pipeline !== null && !loading) return null;
  if (pipeline === null) return recovery ? null : <p class="muted">{readinessText(current)}</p>;
  const { ready = 0, stages = [] } = loading ?? {};
  return (
    <p class="muted small" role="status">
      The next pipeline loads: {ready} of {stages.length} workers ready
    </p>
  );
}
