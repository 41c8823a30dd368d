import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { MAX_SPOKEN_CHARS } from '../../config/limits.ts';
import type { Turn } from './conversation.ts';
import { splitThinking } from './thinking.ts';

export const NO_ANSWER = 'The model gave no answer.';

/** What a screen reader is told: that an answer is on its way, and the answer once it is whole. */
export function Spoken({ turn, answering }: { turn: Turn | undefined; answering: boolean }) {
  const text = useSignal('');
  const was = useRef(false);
  const known = useRef<Turn | undefined>(undefined);
  useEffect(() => {
    if (answering) text.value = 'The model answers.';
    else {
      // After a question that was refused the last answer is the one before.
      const isNew = turn?.role === 'assistant' && turn !== known.current;
      if (was.current) text.value = isNew ? spokenAnswer(turn) : '';
      known.current = turn;
    }
    was.current = answering;
  }, [answering]);
  return (
    <div class="unseen" role="status">
      {text.value}
    </div>
  );
}

export function spokenAnswer({ content, stopped, cut, error }: Turn): string {
  const answer = splitThinking(content).answer.trim();
  // What failed is an alert.
  if (answer === '' && !stopped && !cut) return error === undefined ? NO_ANSWER : '';
  const end = stopped ? ' Stopped.' : cut ? ' Cut off: too long.' : '';
  if (answer.length <= MAX_SPOKEN_CHARS) return `${answer}${end}`;
  return `${answer.slice(0, MAX_SPOKEN_CHARS)} … The rest stands in the conversation.${end}`;
}
