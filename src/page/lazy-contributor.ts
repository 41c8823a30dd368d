import { ShoalError } from '../config/errors.ts';
import {
  type ContributorHandle,
  type ContributorOptions,
  type ContributorState,
  IDLE,
} from './contributor-state.ts';

type Contributors = new (options: ContributorOptions) => ContributorHandle;

const loadContributor = async (): Promise<Contributors> => (await import('./contributor.ts')).Contributor;

/** A contribution whose code, WebRTC above all, is loaded by those who join: most people come to ask. */
export class LazyContributor implements ContributorHandle {
  readonly #options: ContributorOptions;
  readonly #load: () => Promise<Contributors>;
  readonly #listeners = new Set<(state: ContributorState) => void>();
  #state: ContributorState = IDLE;
  #loaded: ContributorHandle | null = null;
  /** Rises with each `join` and `leave`: what was asked for last counts. */
  #wish = 0;

  constructor(options: ContributorOptions, load = loadContributor) {
    this.#options = options;
    this.#load = load;
  }

  get state(): ContributorState {
    return this.#state;
  }

  subscribe(listener: (state: ContributorState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async join(): Promise<void> {
    if (this.#loaded === null) {
      if (this.#state.phase !== 'idle' && this.#state.phase !== 'failed') return;
      const wish = ++this.#wish;
      this.#show({ ...IDLE, phase: 'detecting', detail: 'Loading what is needed to join.' });
      const made = await this.#load().catch(() => null);
      if (wish !== this.#wish) return;
      if (made === null) {
        // Files are named by their content: a page from before the server's update asks for some that are gone.
        const error = new ShoalError(
          'INTERNAL',
          'the code to join did not load: the server was updated, or is not reachable; reload the page',
        );
        this.#show({ ...IDLE, phase: 'failed', detail: error.message, error: error.toWire() });
        return;
      }
      this.#loaded = new made(this.#options);
      this.#loaded.subscribe((state) => this.#show(state));
    }
    await this.#loaded.join();
  }

  async leave(): Promise<void> {
    this.#abandon();
    await this.#loaded?.leave();
  }

  close(): void {
    this.#abandon();
    this.#loaded?.close();
  }

  /** Nothing has begun yet. */
  #abandon(): void {
    this.#wish++;
    if (this.#loaded === null && this.#state.phase !== 'idle') this.#show(IDLE);
  }

  #show(state: ContributorState): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }
}
