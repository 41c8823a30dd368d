import { useEffect, useRef } from 'preact/hooks';
import { recoveryText } from '../mesh/protocol/loss-text.ts';
import { status, watchStatus } from './status.ts';

/**
 * Below an answer that comes in: whom its pipeline has lost and what is being done about it. An answer that has grown since
 * the loss was first told of goes on already, whatever others wait for.
 *
 * @param answered characters of the answer so far
 */
export function RecoveryNotice({ answered }: { readonly answered: number }) {
  useEffect(watchStatus, []);
  const recovery = status.value?.recovery ?? null;
  const seen = useRef({ id: 0, answered: 0 });
  if (recovery !== null && seen.current.id !== recovery.id) seen.current = { id: recovery.id, answered };
  if (status.value === null || recovery === null || seen.current.answered !== answered) return null;
  return (
    <p class="notice small recovery" role="status">
      {recoveryText(status.value)}
    </p>
  );
}
