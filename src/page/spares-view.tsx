import { nameList } from '../mesh/protocol/name-list.ts';
import type { WorkerStatus } from '../mesh/protocol/status.ts';

const SHOWN_PROBLEMS = 3;

/** Workers without layers, in a line however many they are, and what is in the way of some. */
export function SparesView(props: {
  readonly spares: readonly WorkerStatus[];
  /** With those that are not named. */
  readonly count: number;
  readonly own: string | null;
}) {
  const { spares, count, own } = props;
  if (spares.length === 0) return null;
  const isOwn = ({ peer }: WorkerStatus) => peer === own;
  const names = spares
    .toSorted((a, b) => Number(isOwn(b)) - Number(isOwn(a)))
    .map((worker) => (isOwn(worker) ? `${worker.name} (you)` : worker.name));
  const problems = spares.filter(({ problem }) => problem !== null);
  return (
    <div class="spares small muted">
      <p>
        {count} spare{count === 1 ? '' : 's'}: {nameList(names)}
        {count > spares.length && ' …'}
      </p>
      {problems.length > 0 && (
        <ul>
          {problems.slice(0, SHOWN_PROBLEMS).map(({ peer, problem }) => (
            <li key={peer}>{problem}</li>
          ))}
          {problems.length > SHOWN_PROBLEMS && <li>and {problems.length - SHOWN_PROBLEMS} more</li>}
        </ul>
      )}
    </div>
  );
}
