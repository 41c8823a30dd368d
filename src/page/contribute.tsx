import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { layersText } from '../model/shard.ts';
import { BeforeJoin, hasMesh } from './before-join.tsx';
import { BUDGETS_GB, budgetBytes, DEFAULT_BUDGET_GB } from './budget.ts';
import type { ContributorState } from './contributor-state.ts';
import { Fact } from './fact.tsx';
import { formatBytes } from './format.ts';
import { JoinKeyField } from './join-key-field.tsx';
import { LazyContributor } from './lazy-contributor.ts';
import { ownPeer } from './own-peer.ts';
import { remedyOf, STEPS, sentenceOf, stepOf } from './phase-text.ts';
import { spareText } from './spare-text.ts';
import { status } from './status.ts';
import { You } from './you.tsx';

/** `shoal worker` asks the tab to leave as a person would, with Leave: what runs there moves first. */
const LEAVE_EVENT = 'shoal-leave';

export interface ContributeProps {
  readonly name: string;
  /** Joins without a press of the button: for headless workers. */
  readonly auto: boolean;
  readonly budgetGb?: number | undefined;
  /** Of a server that asks for one; empty: none. */
  readonly joinKey?: string | undefined;
}

/** Lends this device's GPU. Nothing computes before Join. */
export function Contribute({ name, auto, budgetGb, joinKey: givenKey }: ContributeProps) {
  const budget = useSignal(budgetGb ?? DEFAULT_BUDGET_GB);
  const joinKey = useSignal(givenKey ?? '');
  const contributor = useMemo(
    () =>
      new LazyContributor({
        serverUrl: location.origin,
        name,
        memoryBudgetBytes: budgetBytes(budget.value),
        get joinKey() {
          return joinKey.value.trim() || undefined;
        },
        createWorker: () =>
          new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module', name }),
      }),
    // A contributor is made for one budget; the choice is open only while it is idle.
    [name, budget.value],
  );
  const state = useSignal<ContributorState>(contributor.state);
  useEffect(() => {
    const show = (next: ContributorState) => {
      state.value = next;
      ownPeer.value = next.connected ? (next.peer ?? null) : null;
    };
    show(contributor.state);
    const unsubscribe = contributor.subscribe((next) => {
      show(next);
      if (auto) reportState(next);
    });
    const leave = () => void contributor.leave();
    if (auto) {
      addEventListener(LEAVE_EVENT, leave);
      void contributor.join();
    }
    return () => {
      removeEventListener(LEAVE_EVENT, leave);
      unsubscribe();
      contributor.close();
    };
  }, [contributor, auto]);

  const { phase, detail, adapter, progress, shard, shards, error } = state.value;
  const idle = phase === 'idle' || phase === 'failed';
  const own = status.value?.workers.find(({ peer }) => peer === ownPeer.value);
  const spare = phase === 'waiting' && own?.spare ? spareText(own.spare, status.value?.detail ?? '') : null;
  return (
    <>
      <div class="card-head">
        <h2 id="contribute-title">Lend your GPU</h2>
        <span class={`pill ${phase}`}>{spare?.label ?? (phase === 'idle' ? 'not joined' : phase)}</span>
      </div>
      <p aria-live="polite" class="sentence">
        {spare === null ? (
          (sentenceOf(phase) ?? detail)
        ) : (
          <>
            <strong>{spare.label === 'spare' ? 'You are a spare.' : 'You have joined.'}</strong> {spare.why}
          </>
        )}
      </p>
      {spare !== null && <p class="small">{spare.until}</p>}
      {ownPeer.value !== null && (
        <p class="small muted">
          The others see you as <strong>{name}</strong> <You />
          {shard && phase !== 'serving' && ` · ${layersText(shard.start, shard.end)}`}
        </p>
      )}
      {error && (
        <div class="notice error" role="alert">
          <p>{error.message}</p>
          {remedyOf(error.code) && <p class="muted">{remedyOf(error.code)}</p>}
        </div>
      )}
      {error?.code === 'UNAUTHORIZED' && (
        <JoinKeyField joinKey={joinKey} onEnter={() => void contributor.join()} />
      )}
      {adapter?.isFallback && (
        <div class="notice">
          This browser offers only a <strong>software adapter</strong>: it computes on the CPU, correctly but
          slowly.
        </div>
      )}
      {own?.problem && phase === 'waiting' && <div class="notice">{own.problem}</div>}
      {stepOf(phase) !== null && <Steps state={state.value} />}
      {idle && <BeforeJoin budgetBytes={budgetBytes(budget.value)} />}
      {progress && phase !== 'serving' && progress.bytesTotal > 0 && (
        <div class="progress">
          <progress max={progress.bytesTotal} value={progress.bytesDone} aria-label={progress.phase} />
          <span class="muted">
            {formatBytes(progress.bytesDone)} of {formatBytes(progress.bytesTotal)}
          </span>
        </div>
      )}
      {phase === 'serving' && shards && (
        <dl class="facts">
          <Fact name="Holding" value={shards.map(({ start, end }) => layersText(start, end)).join(' and ')} />
          <Fact name="Speed" value={`${state.value.tokensPerSecond.toFixed(1)} tok/s`} />
          <Fact name="Tokens" value={String(state.value.tokens)} />
          <Fact name="GPU memory" value={formatBytes(state.value.gpuBytes)} />
          <Fact name="Downloaded" value={formatBytes(state.value.downloadedBytes)} />
        </dl>
      )}
      {adapter && (
        <p class="muted small">
          {[adapter.description || adapter.vendor, adapter.architecture].filter(Boolean).join(' · ')}
        </p>
      )}
      <div class="actions">
        {idle ? (
          <>
            <button
              type="button"
              class="primary"
              disabled={!hasMesh(status.value)}
              onClick={() => void contributor.join()}
            >
              Join
            </button>
            <label class="budget">
              Lend up to{' '}
              <select
                value={budget.value}
                onChange={(event) => (budget.value = Number(event.currentTarget.value))}
              >
                {BUDGETS_GB.map((gb) => (
                  <option key={gb} value={gb}>
                    {gb} GB
                  </option>
                ))}
              </select>
            </label>
          </>
        ) : (
          <button type="button" onClick={() => void contributor.leave()}>
            {phase === 'leaving' ? 'Leave now' : 'Leave'}
          </button>
        )}
      </div>
    </>
  );
}

function Steps({ state }: { state: ContributorState }) {
  const current = stepOf(state.phase);
  const index = current === null ? -1 : STEPS.indexOf(current);
  return (
    <ol class="steps">
      {STEPS.map((step, i) => (
        <li
          key={step}
          class={i < index ? 'done' : i === index ? 'current' : ''}
          aria-current={i === index ? 'step' : undefined}
        >
          {step}
        </li>
      ))}
    </ol>
  );
}

/** `shoal worker` reads these lines from the tab's console. */
function reportState(state: ContributorState): void {
  console.info(`shoal-state ${JSON.stringify(state)}`);
}
