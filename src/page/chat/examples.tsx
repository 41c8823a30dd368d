import type { ChatSession } from './chat-session.ts';
import { offerText } from './chosen-model.ts';

/** As DEFAULT_MODEL_ID in src/config/catalogue.ts, which needs Node. */
const DEFAULT_MODEL = 'minnow';

const EXAMPLES = [
  'What is the capital of Japan?',
  'What is 27 + 15?',
  'What is the opposite of cold?',
  'Tell me a story.',
];

/** What an empty chat shows. */
export function Examples({ session, ready }: { session: ChatSession; ready: boolean }) {
  const state = session.model.value;
  const model = state.type === 'none' ? '' : state.model;
  const offer = session.offers.value.find((one) => one.model === model);
  return (
    <div class="examples">
      <p class="muted">
        {model === ''
          ? 'No model is offered yet. Once there is one, try:'
          : model === DEFAULT_MODEL
            ? 'minnow is a tiny demo model. It knows a small world; try:'
            : `You ask ${offer ? offerText(offer) : model}; try:`}
      </p>
      {EXAMPLES.map((example) => (
        <button
          key={example}
          type="button"
          class="quiet"
          disabled={!ready}
          onClick={() => void session.ask(example)}
        >
          {example}
        </button>
      ))}
      <p class="muted small">
        The chat is kept in this tab, also when it is reloaded. Closing the tab or New chat deletes it.
      </p>
    </div>
  );
}
