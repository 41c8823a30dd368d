import type { ChatSession } from './chat-session.ts';
import { namesText, type Offer, offerText } from './chosen-model.ts';

/** The models that are offered; the chosen one stays chosen when it is gone. */
export function ModelPicker({ session }: { session: ChatSession }) {
  const offers = session.offers.value;
  const state = session.model.value;
  if (state.type === 'none') return null;
  const isMissing = !offers.some(({ model }) => model === state.model);
  if (offers.length < 2 && !isMissing) return null;
  return (
    <select
      class="model"
      aria-label="Model"
      value={state.model}
      onChange={({ currentTarget }) => {
        const offer = offers.find(({ model }) => model === currentTarget.value);
        if (offer) session.choose(offer);
      }}
    >
      {isMissing && (
        <option value={state.model}>
          {state.model} ({state.type === 'gone' ? 'gone' : 'not there yet'})
        </option>
      )}
      {offers.map((offer) => (
        <option key={offer.model} value={offer.model}>
          {offerText(offer)}
        </option>
      ))}
    </select>
  );
}

/** That whom the chat talked to is gone, and what may be done; nothing is sent elsewhere unasked. */
export function ModelNotice({ session }: { session: ChatSession }) {
  const state = session.model.value;
  if (state.type === 'gone') {
    const [next] = state.others;
    const hasBegun = session.turns.value.length > 0;
    return (
      <div class="notice choice" role="status">
        <p>
          <b>{state.model}</b> is gone.{' '}
          {next === undefined
            ? 'No other model is offered now.'
            : hasBegun
              ? 'Wait for it, or go on with another model, which is then sent this conversation.'
              : 'Wait for it, or choose another model.'}
        </p>
        {next && <GoOn session={session} offer={next} />}
        {state.others.length > 1 && <p class="small">The others are in the list above.</p>}
      </div>
    );
  }
  if (state.type !== 'other-lenders') return null;
  const left = namesText(session.chosen.value.lenders);
  return (
    <div class="notice choice" role="status">
      <p>
        {left === '' ? (
          <>
            This server’s own <b>{state.model}</b> is gone.
          </>
        ) : (
          <>
            {left}, who lent <b>{state.model}</b>, has left.
          </>
        )}{' '}
        {namesText(state.offer.lenders)} lends a model of this name, and would be sent this conversation.
      </p>
      <GoOn session={session} offer={state.offer} />
    </div>
  );
}

function GoOn({ session, offer }: { session: ChatSession; offer: Offer }) {
  return (
    <button
      type="button"
      class="quiet"
      onClick={(event) => {
        session.choose(offer);
        session.focusBox(event);
      }}
    >
      Go on with {offerText(offer)}
    </button>
  );
}
