import type { StageInfo } from '../mesh/protocol/control.ts';
import type { WorkerStatus } from '../mesh/protocol/status.ts';
import { layersText } from '../model/shard.ts';
import { formatRate } from './format.ts';
import { ownPeer } from './own-peer.ts';
import { You } from './you.tsx';

/** More would be too narrow side by side for the name of a graphics card; they stand one below the other. */
const MAX_SIDE_BY_SIDE = 2;

/** The stages in the order a token travels, 1 to as many as the model has layers. */
export function PipelineDrawing(props: {
  readonly stages: readonly StageInfo[];
  readonly workers: readonly WorkerStatus[];
  /** None of them serves yet. */
  readonly isLoading?: boolean;
}) {
  const { stages, workers, isLoading = false } = props;
  const byPeer = new Map(workers.map((worker) => [worker.peer, worker]));
  const form = stages.length > MAX_SIDE_BY_SIDE ? 'many' : 'few';
  return (
    <ol class={`pipeline ${form} ${isLoading ? 'loading' : ''}`}>
      {stages.map(({ peer, name, shard }) => (
        <li key={peer}>
          <div class="stage">
            <span>
              <strong>{name}</strong> {peer === ownPeer.value && <You />}
            </span>
            <span class="layers">{layersText(shard.start, shard.end)}</span>
            <span class="muted small">{beside(shard, byPeer.get(peer))}</span>
          </div>
        </li>
      ))}
    </ol>
  );
}

function beside(shard: StageInfo['shard'], worker: WorkerStatus | undefined): string {
  const adapter = worker?.adapter?.isFallback ? 'software adapter' : worker?.adapter?.description;
  const rate = worker?.gemvMacsPerSecond;
  return [
    [shard.embedding && 'embedding', shard.head && 'LM head'].filter(Boolean).join(' + '),
    adapter,
    rate != null && formatRate(rate),
  ]
    .filter(Boolean)
    .join(' · ');
}
