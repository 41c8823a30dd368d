import { megabytesOf } from '../../config/bytes-text.ts';
import { nameList } from './name-list.ts';
import type { Loss, Status } from './status.ts';

/** Whom or what was lost: `tab-1 left`, `tab-1 and tab-2 left, tab-3 failed`. */
export function lossText(losses: readonly Loss[]): string {
  const names = (how: Loss['how']) => [
    ...new Set(losses.filter((loss) => loss.how === how).map(({ worker }) => worker ?? 'a worker')),
  ];
  const [left, failed] = [names('left'), names('failed')];
  return [
    left.length > 0 && `${nameList(left)} left`,
    failed.length > 0 && `${nameList(failed)} failed`,
    losses.some(({ how }) => how === 'stalled') && 'no token came in time',
    losses.some(({ how }) => how === 'precision') && 'its numbers needed 32 bits',
  ]
    .filter(Boolean)
    .join(', ');
}

/**
 * At an answer's end: `moved 1×: tab-1 left`. Empty: it did not.
 * @param crossings to adapters that may give other bits
 */
export function movedText(restarts: number, losses: readonly Loss[], crossings = 0): string {
  const why = lossText(losses);
  return [
    restarts > 0 && `moved ${restarts}×${why === '' ? '' : `: ${why}`}`,
    crossings > 0 && 'went on with another kind of GPU, so its words may differ',
  ]
    .filter(Boolean)
    .join('; ');
}

/** What goes on while workers are lost: `tab-1 left, goes on with tab-2 and tab-3: loading 3.1 of 9.8 MB`. Null: nothing does. */
export function recoveryText({ recovery, loading }: Pick<Status, 'recovery' | 'loading'>): string | null {
  if (!recovery) return null;
  const lost = lossText(recovery.lost);
  const others = nameList(recovery.with);
  switch (recovery.step) {
    case 'placing':
      return `${lost}, goes on with ${others}: handing out the layers anew`;
    case 'loading':
      return `${lost}, goes on with ${others}: loading${howFar(loading)}`;
    case 'resuming':
      return `${lost}, goes on with ${others}: picking up where it was`;
    case 'waiting':
      return others === ''
        ? `${lost}, and nobody is left to go on; the answer waits for a worker to join`
        : `${lost}, and ${others} cannot hold the model alone; the answer waits for a worker to join`;
    default:
      return recovery.step satisfies never;
  }
}

/** ` 3.1 of 9.8 MB`; nothing before anybody has said how much there is. */
function howFar(loading: Status['loading']): string {
  if (!loading || loading.bytesTotal === 0) return '';
  return ` ${megabytesOf(loading.bytesDone, loading.bytesTotal)}`;
}
