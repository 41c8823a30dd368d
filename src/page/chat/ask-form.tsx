import { status } from '../status.ts';
import type { ChatSession } from './chat-session.ts';

const PLACEHOLDERS = {
  none: 'Waiting for a model…',
  unsure: 'Waiting for the model…',
  gone: 'Choose a model…',
  'other-lenders': 'Choose who answers…',
} as const;

/** The key belongs to an input method. Safari says so by the code alone when the key is the one that ends it. */
export const isComposing = ({ isComposing, keyCode }: KeyboardEvent) => isComposing || keyCode === 229;

/** The box for a message, and for the server's key where it wants one. */
export function AskForm({ session, ready }: { session: ChatSession; ready: boolean }) {
  const { draft, answering, apiKey, needsKey, model } = session;
  const { type } = model.value;
  const waiting = type === 'offered' || status.value === null ? PLACEHOLDERS.none : PLACEHOLDERS[type];
  return (
    <>
      {needsKey.value && (
        <label class="key small">
          API key of this server{' '}
          <input
            type="password"
            autocomplete="off"
            spellcheck={false}
            value={apiKey.value}
            onInput={(event) => (apiKey.value = event.currentTarget.value.trim())}
          />{' '}
          <span class="muted">kept until this page is closed or reloaded; then send again</span>
        </label>
      )}
      <form
        class="ask"
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) void session.ask(draft.value);
        }}
      >
        <textarea
          ref={session.box}
          aria-label="Your message"
          placeholder={ready ? 'Ask something…' : waiting}
          rows={1}
          enterkeyhint="send"
          dir="auto"
          value={draft.value}
          onInput={(event) => session.type(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && !event.shiftKey && !isComposing(event)) {
              event.preventDefault();
              if (ready) void session.ask(draft.value);
            }
          }}
        />
        {answering.value ? (
          <button
            type="button"
            onClick={(event) => {
              session.stop();
              session.focusBox(event);
            }}
          >
            Stop
          </button>
        ) : (
          <button type="submit" class="primary" disabled={!ready || draft.value.trim() === ''}>
            Send
          </button>
        )}
      </form>
    </>
  );
}
