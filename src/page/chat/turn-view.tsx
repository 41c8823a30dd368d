import { useLayoutEffect, useRef } from 'preact/hooks';
import { RecoveryNotice } from '../recovery-notice.tsx';
import { AnswerText } from './answer-text.tsx';
import type { Turn } from './conversation.ts';
import { copyButton } from './copy-text.ts';
import { memo } from './memo.ts';
import { ServedBy } from './served-by.tsx';
import { NO_ANSWER } from './spoken.tsx';
import { splitThinking } from './thinking.ts';

interface TurnProps {
  readonly turn: Turn;
  /** Its answer is coming in. */
  readonly busy: boolean;
  /** What stands above it was not sent with the last question. */
  readonly isFirstSent: boolean;
  readonly contextLength: number | null;
}

export const TurnView = memo(({ turn, busy, isFirstSent, contextLength }: TurnProps) => (
  <>
    {isFirstSent && turn.role === 'user' && <p class="left-out small muted">Above: no longer sent</p>}
    {turn.role === 'user' ? (
      <div class="turn user" dir="auto">
        {turn.content}
      </div>
    ) : (
      <AnswerView turn={turn} busy={busy} contextLength={contextLength} />
    )}
  </>
));

function AnswerView({ turn, busy, contextLength }: Omit<TurnProps, 'isFirstSent'>) {
  const { thinking, answer, isThinking } = splitThinking(turn.content, turn.reasoning, !busy);
  const isNothing = !busy && answer.trim() === '' && !turn.stopped && !turn.cut && !turn.error;
  return (
    <div class="turn assistant">
      {thinking !== '' && (
        <details class="thoughts">
          <summary>{isThinking ? 'Thinking…' : 'Thinking'}</summary>
          <div dir="auto">{thinking}</div>
        </details>
      )}
      {answer.trim() === '' && busy && thinking === '' ? (
        <span class="thinking">thinking…</span>
      ) : (
        <AnswerText text={answer} isWhole={!busy} />
      )}
      {busy && !turn.by?.lender && <RecoveryNotice answered={turn.content.length} />}
      {turn.error && (
        <div class="notice error" role="alert">
          {turn.error}
        </div>
      )}
      {turn.cut && (
        <p class="notice small">
          {turn.cut === 'context'
            ? `Cut off here: the context of ${contextLength ?? ''} tokens is full. The oldest messages are left out of the next question; New chat starts with an empty context.`
            : 'Cut off here: the server allows no longer answer (max tokens). Ask to go on.'}
        </p>
      )}
      {turn.stopped && <p class="muted small">Stopped.</p>}
      {isNothing && <p class="muted small">{NO_ANSWER}</p>}
      {!busy && (
        <div class="foot">
          {answer.trim() !== '' && <CopyAnswer text={answer} />}
          <ServedBy turn={turn} />
        </div>
      )}
    </div>
  );
}

function CopyAnswer({ text }: { text: string }) {
  const place = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => place.current!.replaceChildren(copyButton('Copy answer', () => text.trim())), [text]);
  return <span ref={place} />;
}
