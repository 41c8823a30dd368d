import { useSignal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { Contribute, type ContributeProps } from './contribute.tsx';

type Mode = 'gpu' | 'endpoint';

const MODES: readonly (readonly [Mode, string])[] = [
  ['gpu', 'This GPU'],
  ['endpoint', 'Local endpoint'],
];

/** The card by which a device contributes. Both ways stay as they are while the other is shown, and both may run. */
export function Lend(props: ContributeProps) {
  const mode = useSignal<Mode>('gpu');
  const endpoint = useSignal<ComponentType<{ name: string }> | null>(null);
  const show = async (next: Mode) => {
    mode.value = next;
    // Its code, proxies for three kinds of servers, is loaded by those who want it.
    if (next === 'endpoint') endpoint.value ??= (await import('./lend-endpoint.tsx')).LendEndpoint;
  };
  return (
    <section class="card" aria-label="Contribute">
      {!props.auto && (
        <fieldset class="switch">
          <legend class="unseen">What to lend</legend>
          {MODES.map(([value, label]) => (
            <label key={value}>
              <input
                type="radio"
                name="mode"
                value={value}
                checked={mode.value === value}
                onChange={() => void show(value)}
              />
              <span>{label}</span>
            </label>
          ))}
        </fieldset>
      )}
      <div class="lend" hidden={mode.value !== 'gpu'}>
        <Contribute {...props} />
      </div>
      <div class="lend" hidden={mode.value !== 'endpoint'}>
        {endpoint.value && <endpoint.value name={props.name} />}
      </div>
    </section>
  );
}
