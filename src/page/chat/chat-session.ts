import { computed, signal } from '@preact/signals';
import { status } from '../status.ts';
import { restoreChat, storeChat } from './chat-store.ts';
import { streamChat } from './chat-stream.ts';
import { type Chosen, chooseOffer, modelState, type Offer, offers } from './chosen-model.ts';
import { Conversation, type Refusal, type Turn } from './conversation.ts';
import { DrawPace } from './draw-pace.ts';

/** A browser breaks the page's requests off before it tells the page that it goes. */
const LEAVING_MS = 3_000;

/** The chat of this tab: the conversation, what is typed, whom it is asked, and what of it outlives a reload. */
export class ChatSession {
  readonly turns = signal<readonly Turn[]>([]);
  readonly answering = signal(false);
  readonly draft = signal('');
  readonly refusal = signal<Refusal | null>(null);
  readonly chosen = signal<Chosen>({ model: '', lenders: [] });
  // In memory only: what a page stores, every script of its origin may read later.
  readonly apiKey = signal('');
  readonly needsKey = signal(false);
  readonly offers = computed(() => offers(status.value));
  readonly model = computed(() => modelState(this.chosen.value, status.value, this.turns.value.length > 0));
  /** Of the chosen model in tokens; null where it is not known. */
  readonly contextLength = computed(() => {
    const { model } = status.value ?? {};
    return model?.id === this.#modelName ? model.contextLength : null;
  });
  readonly pace: DrawPace;
  /** The box for a message. */
  readonly box: { current: HTMLTextAreaElement | null } = { current: null };
  readonly #conversation: Conversation;

  constructor() {
    const stored = restoreChat();
    const conversation: Conversation = new Conversation((isText) => {
      if (isText) this.pace.request();
      else this.pace.now();
    }, stored?.turns);
    this.#conversation = conversation;
    this.pace = new DrawPace(() => {
      this.turns.value = conversation.turns;
      this.answering.value = conversation.answering;
    });
    this.turns.value = conversation.turns;
    if (stored !== null) {
      this.draft.value = stored.draft;
      this.chosen.value = stored.chosen;
    }
  }

  get #modelName(): string {
    const state = this.model.value;
    return state.type === 'none' ? '' : state.model;
  }

  async ask(text: string): Promise<void> {
    const state = this.model.value;
    if (text.trim() === '' || this.#conversation.answering || state.type !== 'offered') return;
    const { model } = state;
    const contextLength = this.contextLength.value;
    const lenders = state.lenders.map(({ id }) => id);
    this.chosen.value = { model, lenders: merged(this.chosen.value.lenders, state.lenders) };
    this.refusal.value = null;
    this.draft.value = '';
    const refusal = await this.#conversation.ask({ text, model, contextLength }, (messages, signal) =>
      streamChat(
        { model, messages, lenders, wantsUsage: contextLength !== null, apiKey: this.apiKey.value },
        signal,
      ),
    );
    if (refusal !== null) this.#refused(refusal);
    this.store();
  }

  /** After a button that is gone once it was pressed by keyboard; a finger would get a keyboard it did not ask for. */
  focusBox({ detail }: MouseEvent): void {
    if (detail === 0) this.box.current?.focus();
  }

  stop(): void {
    this.#conversation.stop();
  }

  /** A new chat; what was kept of the old one is deleted. */
  clear(): void {
    this.refusal.value = null;
    this.chosen.value = { model: this.chosen.value.model, lenders: [] };
    this.#conversation.clear();
    this.store();
  }

  /** Asked for: the conversation goes to this model from now on. */
  choose(offer: Offer): void {
    this.chosen.value = chooseOffer(this.chosen.value, offer);
    this.refusal.value = null;
    this.store();
  }

  /** Whoever types has seen which model is shown, and means it. */
  type(text: string): void {
    this.draft.value = text;
    const state = this.model.value;
    if (this.chosen.value.model === '' && state.type === 'offered' && text !== '')
      this.chosen.value = { ...this.chosen.value, model: state.model };
  }

  /** The page may be about to go; somebody may yet stay. */
  mayLeave(): void {
    this.#conversation.isLeaving = true;
    setTimeout(() => {
      this.#conversation.isLeaving = false;
    }, LEAVING_MS);
  }

  /** Before the page goes, and after each answer. */
  store(): void {
    const { turns, answering } = this.#conversation;
    const last = turns.at(-1);
    const kept = answering && last ? [...turns.slice(0, -1), { ...last, stopped: true }] : turns;
    storeChat({ chosen: this.chosen.value, turns: kept, draft: this.draft.value });
  }

  #refused(refusal: Refusal): void {
    if (refusal.kind === 'key') this.needsKey.value = true;
    this.refusal.value = refusal;
    // What was typed meanwhile stays too.
    const typed = this.draft.value;
    this.draft.value = typed.trim() === '' ? refusal.text : `${refusal.text}\n${typed}`;
  }
}

const merged = (known: Chosen['lenders'], more: Chosen['lenders']): Chosen['lenders'] => [
  ...known.filter(({ id }) => !more.some((lender) => lender.id === id)),
  ...more,
];
