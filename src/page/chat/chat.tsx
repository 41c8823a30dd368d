import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { status } from '../status.ts';
import { AskForm, isComposing } from './ask-form.tsx';
import { ChatSession } from './chat-session.ts';
import { ContextLine } from './context-line.tsx';
import { Examples } from './examples.tsx';
import { ModelNotice, ModelPicker } from './model-picker.tsx';
import { Spoken } from './spoken.tsx';
import { sticksToEnd } from './stick-to-end.ts';
import { TurnView } from './turn-view.tsx';

/** The chat box: streams an answer, stops it, tells who served it, and outlives a reload. */
export function Chat() {
  const session = useMemo(() => new ChatSession(), []);
  const { turns, answering, model, refusal } = session;
  const log = useRef<HTMLDivElement>(null);
  const ready = (status.value?.ready ?? false) && model.value.type === 'offered';

  // New text scrolls into view unless the reader has scrolled up; a notice that takes room from the log moves nothing away.
  const sticky = useRef(true);
  const place = useRef(0);
  const stick = () => {
    if (sticky.current) log.current?.scrollTo({ top: log.current.scrollHeight });
  };
  useLayoutEffect(() => {
    // Who asks looks for what was asked.
    if (answering.value) sticky.current = true;
  }, [answering.value]);
  useLayoutEffect(() => {
    stick();
    session.pace.drawn();
  }, [turns.value, answering.value]);
  useEffect(() => {
    const observer = new ResizeObserver(stick);
    observer.observe(log.current!);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    const ended = new AbortController();
    addEventListener('beforeunload', () => session.mayLeave(), ended);
    addEventListener('pagehide', () => session.store(), ended);
    // A phone ends a page that it does not show without another word.
    document.addEventListener('visibilitychange', () => document.hidden && session.store(), ended);
    return () => ended.abort();
  }, []);

  const last = turns.value.length - 1;
  const leftOut = turns.value.at(-1)?.leftOut ?? 0;
  return (
    <section
      class="card chat"
      aria-labelledby="chat-title"
      onKeyDown={(event) => {
        if (event.key === 'Escape' && !isComposing(event)) session.stop();
      }}
    >
      <div class="card-head">
        <h2 id="chat-title">Chat</h2>
        <ModelPicker session={session} />
        {turns.value.length > 0 && (
          <button
            type="button"
            class="quiet"
            onClick={(event) => {
              session.clear();
              session.focusBox(event);
            }}
          >
            New chat
          </button>
        )}
      </div>
      {/* Not live: a screen reader would read every piece of an answer as it comes. `Spoken` tells what counts. */}
      <div
        class="log"
        ref={log}
        role="log"
        aria-live="off"
        aria-label="Conversation"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and a keyboard must reach it
        tabIndex={0}
        onScroll={(event) => {
          const box = event.currentTarget;
          sticky.current = sticksToEnd(sticky.current, place.current, box);
          place.current = box.scrollTop;
        }}
      >
        {turns.value.length === 0 && <Examples session={session} ready={ready} />}
        {turns.value.map((turn, i) => (
          <TurnView
            key={i}
            turn={turn}
            busy={answering.value && i === last}
            isFirstSent={i > 0 && i === leftOut}
            contextLength={session.contextLength.value}
          />
        ))}
      </div>
      <ModelNotice session={session} />
      {refusal.value && (
        <div class="notice error" role="alert">
          <p>Not sent: {refusal.value.message}</p>
          <p>
            {refusal.value.kind === 'context'
              ? 'Your text is back in the box: shorten it. New chat starts with an empty context.'
              : 'Your text is back in the box.'}
          </p>
        </div>
      )}
      <ContextLine session={session} leftOut={leftOut} />
      <AskForm session={session} ready={ready} />
      <Spoken turn={turns.value.at(-1)} answering={answering.value} />
    </section>
  );
}
