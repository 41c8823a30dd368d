import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { layersText } from '../../model/shard.ts';
import { status } from '../status.ts';
import { type Served, streamChat } from './chat-stream.ts';
import { Conversation, type Turn } from './conversation.ts';
import { renderMarkdown } from './markdown.ts';
import { offeredModels } from './offered-models.ts';

/** As DEFAULT_MODEL_ID in src/config/catalogue.ts, which needs Node. */
const DEFAULT_MODEL = 'minnow';

const EXAMPLES = [
  'What is the capital of Japan?',
  'What is 27 + 15?',
  'What is the opposite of cold?',
  'Tell me a story.',
];

/** The chat box: streams an answer, stops it, tells who served it. */
export function Chat() {
  const turns = useSignal<readonly Turn[]>([]);
  const draft = useSignal('');
  const answering = useSignal(false);
  // In memory only: what a page stores, every script of its origin may read later.
  const apiKey = useSignal('');
  const needsKey = useSignal(false);
  const conversation = useMemo(() => {
    const made: Conversation = new Conversation(() => {
      turns.value = made.turns;
      answering.value = made.answering;
    });
    return made;
  }, []);
  const log = useRef<HTMLDivElement>(null);
  const ready = status.value?.ready ?? false;
  const chosen = useSignal('');
  const models = offeredModels(status.value);
  const model = models.includes(chosen.value) ? chosen.value : (models[0] ?? '');

  // New text scrolls into view unless the reader has scrolled up.
  const sticky = useRef(true);
  useEffect(() => {
    if (sticky.current) log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [turns.value]);

  async function ask(question: string): Promise<void> {
    if (question.trim() === '' || conversation.answering) return;
    draft.value = '';
    await conversation.ask(question, (messages, signal) =>
      streamChat(model, messages, signal, {
        apiKey: apiKey.value,
        onKeyNeeded: () => (needsKey.value = true),
      }),
    );
  }

  return (
    <section class="card chat" aria-labelledby="chat-title">
      <div class="card-head">
        <h2 id="chat-title">Chat</h2>
        {models.length > 1 && (
          <select
            class="model"
            aria-label="Model"
            value={model}
            onChange={(event) => (chosen.value = event.currentTarget.value)}
          >
            {models.map((id) => (
              <option key={id} value={id}>
                {id}
              </option>
            ))}
          </select>
        )}
        {turns.value.length > 0 && (
          <button type="button" class="quiet" onClick={() => conversation.clear()}>
            New chat
          </button>
        )}
      </div>
      <div
        class="log"
        ref={log}
        role="log"
        aria-live="polite"
        onScroll={(event) => {
          const box = event.currentTarget;
          sticky.current = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
        }}
      >
        {turns.value.length === 0 && (
          <div class="examples">
            <p class="muted">
              {model === DEFAULT_MODEL || model === ''
                ? 'The embedded model is a tiny demo. It knows a small world; try:'
                : `${model} answers; try:`}
            </p>
            {EXAMPLES.map((example) => (
              <button
                key={example}
                type="button"
                class="quiet"
                disabled={!ready}
                onClick={() => void ask(example)}
              >
                {example}
              </button>
            ))}
          </div>
        )}
        {turns.value.map((turn, i) => (
          <TurnView key={i} turn={turn} busy={answering.value && i === turns.value.length - 1} />
        ))}
      </div>
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
          <span class="muted">kept until this page is closed; ask your question again</span>
        </label>
      )}
      <form
        class="ask"
        onSubmit={(event) => {
          event.preventDefault();
          void ask(draft.value);
        }}
      >
        <textarea
          aria-label="Your message"
          placeholder={ready ? 'Ask something…' : 'Waiting for a pipeline…'}
          rows={1}
          value={draft.value}
          onInput={(event) => (draft.value = event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
              event.preventDefault();
              void ask(draft.value);
            }
            if (event.key === 'Escape') conversation.stop();
          }}
        />
        {answering.value ? (
          <button type="button" onClick={() => conversation.stop()}>
            Stop
          </button>
        ) : (
          <button type="submit" class="primary" disabled={!ready || draft.value.trim() === ''}>
            Send
          </button>
        )}
      </form>
    </section>
  );
}

function TurnView({ turn, busy }: { turn: Turn; busy: boolean }) {
  if (turn.role === 'user') return <div class="turn user">{turn.content}</div>;
  return (
    <div class="turn assistant">
      {turn.content === '' && busy ? (
        <span class="thinking" role="status">
          thinking…
        </span>
      ) : (
        // renderMarkdown sanitizes.
        <div class="markdown" dangerouslySetInnerHTML={{ __html: renderMarkdown(turn.content) }} />
      )}
      {turn.error && (
        <div class="notice error" role="alert">
          {turn.error}
        </div>
      )}
      {turn.stopped && <p class="muted small">Stopped.</p>}
      {turn.served && <ServedBy served={turn.served} />}
    </div>
  );
}

function ServedBy({ served }: { served: Served }) {
  const { stages, tokens_per_second: speed, restarts } = served;
  // An answer of a proxied backend has no stages.
  const parts = [
    stages.map((stage) => `${stage.name} (${layersText(...stage.layers)})`).join(' → '),
    speed == null ? '' : `${speed.toFixed(1)} tok/s`,
    restarts > 0 ? `moved ${restarts}×` : '',
  ];
  return <p class="muted small served">{parts.filter(Boolean).join(' · ')}</p>;
}
