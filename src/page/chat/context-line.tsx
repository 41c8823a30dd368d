import type { ChatSession } from './chat-session.ts';
import { fullness } from './context.ts';

/** How full the model's context is, and what no longer fits. Nothing where its length is not known. */
export function ContextLine({ session, leftOut }: { session: ChatSession; leftOut: number }) {
  const contextLength = session.contextLength.value;
  const used = session.turns.value.findLast((turn) => turn.used !== undefined)?.used;
  const full = contextLength === null || used === undefined ? null : fullness(used, contextLength);
  if (full === null && leftOut === 0) return null;
  return (
    <div class="context small muted">
      {full && (
        <label class={full.state}>
          Context{' '}
          <meter min={0} max={full.of} value={full.used}>
            {full.used} of {full.of} tokens
          </meter>{' '}
          {full.used} of {full.of} tokens
        </label>
      )}
      {leftOut > 0 ? (
        <span>{leftOutText(leftOut)}</span>
      ) : (
        full &&
        full.state !== 'roomy' && <span>The oldest messages will be left out next. New chat empties it.</span>
      )}
    </div>
  );
}

export const leftOutText = (messages: number) =>
  messages === 1
    ? 'The first message no longer fits and is not sent.'
    : `The first ${messages} messages no longer fit and are not sent.`;
