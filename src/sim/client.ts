import { getEventListeners } from 'node:events';
import type { GenerateRequest } from '../backend/fxn/generator.ts';
import { ShoalError } from '../config/errors.ts';
import { type Asked, undisturbed } from './model.ts';
import type { World } from './world.ts';

export interface AskOptions {
  readonly asked: Asked;
  readonly client?: string;
  readonly deadlineMs: number;
  readonly topLogprobs?: number;
  /** Asks again for what is missing when the server was away, as the API's resumable answers do. */
  readonly resumes?: boolean;
}

/** One client with one request; it counts what it is given, and compares. */
export class SimClient {
  readonly options: AskOptions;
  readonly ids: number[] = [];
  state: 'running' | 'finished' | 'failed' = 'running';
  error: ShoalError | null = null;
  restarts = 0;
  readonly askedAtMs: number;
  endedAtMs = 0;
  /** Of each token. */
  readonly atMs: number[] = [];
  /** Names of the workers of its routes, newest last. */
  readonly routes: string[] = [];
  readonly #world: World;
  /** Of the present request. */
  #abort = new AbortController();
  #cancelDeadline: () => void = () => {};
  #sequence: number | null = null;
  /** Of the request that counts; what an older one still says does not. */
  #attempt = 0;

  constructor(world: World, options: AskOptions) {
    this.#world = world;
    this.options = options;
    this.askedAtMs = world.clock.now();
    world.server.onChange(this, (isUp) => this.#serverChanged(isUp));
    this.#cancelDeadline = world.clock.after(options.deadlineMs, () => {
      const error = new ShoalError('DEADLINE_EXCEEDED', `no end within ${options.deadlineMs} ms`);
      this.#abort.abort(error);
      this.#end('failed', error);
    });
    void this.#ask();
  }

  get hasEnded(): boolean {
    return this.state !== 'running';
  }

  /** Ends it, as a client does that hangs up. */
  hangUp(): void {
    this.#abort.abort(new ShoalError('ABORTED', 'the client hung up'));
    this.#end('failed', new ShoalError('ABORTED', 'the client hung up'));
  }

  /** What is wrong with what it was given; null: nothing. */
  verdict(): string | null {
    const { asked } = this.options;
    const expected = undisturbed(this.#world.model, asked);
    const wrong = this.ids.findIndex((id, index) => id !== expected[index]);
    if (wrong >= 0) return `token ${wrong} is ${this.ids[wrong]}, undisturbed it is ${expected[wrong]}`;
    if (this.state === 'running') return 'it neither ended nor failed';
    if (this.state === 'finished' && this.ids.length !== expected.length)
      return `it ended after ${this.ids.length} tokens of ${expected.length}`;
    if (this.error?.code === 'INTERNAL') return `it failed with ${this.error.stack}`;
    const listeners = getEventListeners(this.#abort.signal, 'abort').length;
    return listeners === 0 ? null : `${listeners} listeners are left on its signal`;
  }

  async #ask(): Promise<void> {
    const { mesh } = this.#world.server;
    if (mesh === null) {
      if (this.options.resumes !== true)
        this.#end('failed', new ShoalError('BACKEND_UNAVAILABLE', 'the server cannot be reached'));
      return;
    }
    const { maxTokens, eosTokenIds } = this.options.asked;
    const last = this.ids.at(-1);
    if (this.ids.length === maxTokens || (last !== undefined && eosTokenIds.includes(last))) {
      // Only its end was lost with the server.
      this.#end('finished', null);
      return;
    }
    const attempt = ++this.#attempt;
    this.#abort = new AbortController();
    const isPast = () => attempt !== this.#attempt || this.hasEnded;
    try {
      for await (const event of mesh.coordinator.generate(this.#request(), this.#abort.signal)) {
        if (isPast()) return;
        if (event.type === 'token') {
          this.ids.push(event.id);
          this.atMs.push(this.#world.clock.now());
        } else if (event.type === 'pipeline') {
          this.#sequence = event.sequence ?? null;
          this.restarts = event.restarts;
          this.routes.push(event.stages.map(({ name }) => name).join(' '));
        } else this.#end('finished', null);
      }
      if (!isPast()) this.#end('failed', new ShoalError('INTERNAL', 'the answer ended without an end'));
    } catch (thrown) {
      if (!isPast()) this.#end('failed', ShoalError.from(thrown));
    }
  }

  #request(): GenerateRequest {
    const { asked, client, topLogprobs } = this.options;
    return {
      ...asked,
      client: client ?? '',
      ...(topLogprobs !== undefined && { topLogprobs }),
      ...(this.#sequence !== null && { resume: { sequence: this.#sequence, ids: [...this.ids] } }),
    };
  }

  #serverChanged(isUp: boolean): void {
    if (isUp) {
      if (this.options.resumes === true) void this.#ask();
      return;
    }
    this.#attempt += 1;
    // The listeners of a process that is gone are gone with it.
    this.#abort = new AbortController();
    if (this.options.resumes !== true)
      this.#end('failed', new ShoalError('BACKEND_UNAVAILABLE', 'the server is gone'));
  }

  #end(state: 'finished' | 'failed', error: ShoalError | null): void {
    if (this.hasEnded) return;
    this.state = state;
    this.error = error;
    this.endedAtMs = this.#world.clock.now();
    this.#cancelDeadline();
    this.#world.server.offChange(this);
  }
}
