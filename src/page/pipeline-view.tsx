import { readinessText } from '../mesh/protocol/readiness-text.ts';
import { layersText } from '../model/shard.ts';
import { formatRate } from './format.ts';
import { NodesView } from './nodes-view.tsx';
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
  const byPeer = new Map(current.workers.map((worker) => [worker.peer, worker]));
  const stages = current.pipeline?.stages ?? [];
  const inPipeline = new Set(stages.map((stage) => stage.peer));
  const endpoints = current.nodes.filter(({ provider }) => provider !== 'fxn');
  const isMesh = current.provider === 'fxn';
  const spares = current.workers.filter((worker) => !inPipeline.has(worker.peer));
  return (
    <section class="card" aria-labelledby="pipeline-title">
      <div class="card-head">
        <h2 id="pipeline-title">{isMesh ? 'Pipeline' : 'Backends'}</h2>
        <span class={`pill ${current.ready ? 'serving' : 'waiting'}`}>
          {current.ready ? 'live' : 'not ready'}
        </span>
      </div>
      {stages.length === 0 ? (
        <p class="muted">{readinessText(current)}</p>
      ) : (
        <ol class="pipeline">
          {stages.map((stage) => {
            const worker = byPeer.get(stage.peer);
            return (
              <li key={stage.peer} class="stage" style={{ flexGrow: stage.shard.end - stage.shard.start }}>
                <strong>{stage.name}</strong>
                <span>{layersText(stage.shard.start, stage.shard.end)}</span>
                <span class="muted small">
                  {[stage.shard.embedding && 'embedding', stage.shard.head && 'LM head']
                    .filter(Boolean)
                    .join(' + ') || ' '}
                </span>
                {worker && (
                  <span class="muted small">
                    {worker.adapter?.isFallback ? 'software adapter' : (worker.adapter?.description ?? '')}
                    {worker.gemvMacsPerSecond !== null && ` · ${formatRate(worker.gemvMacsPerSecond)}`}
                  </span>
                )}
              </li>
            );
          })}
        </ol>
      )}
      {spares.length > 0 && (
        <ul class="spares small muted">
          {spares.map((worker) => (
            <li key={worker.peer}>
              {worker.name}: {worker.problem ?? worker.state}
            </li>
          ))}
        </ul>
      )}
      {endpoints.length > 0 && <NodesView nodes={endpoints} />}
      <p class="muted small">
        {current.model && `${current.model.id}, ${current.model.layers} layers · `}
        {isMesh && `${current.workers.length} worker${current.workers.length === 1 ? '' : 's'} · `}
        {current.requestsInFlight} answer
        {current.requestsInFlight === 1 ? '' : 's'} in flight
      </p>
    </section>
  );
}
