import { createFxnBackend } from '../../../src/backend/fxn/fxn.ts';
import type { GenerateEvent } from '../../../src/backend/fxn/generator.ts';
import { ShoalError } from '../../../src/config/errors.ts';
import type { AnswerKeeper } from '../../../src/server/answers/answer-keeper.ts';
import { type AnswerCount, KeptAnswers } from '../../../src/server/answers/kept-answers.ts';
import { FakeGenerator, STAGES } from '../../support/fake-generator.ts';
import { bytes, END, fakeModel } from '../../support/fake-model.ts';
import { FakeTimers } from '../../support/fake-timers.ts';
import { nativeApp } from '../native-app.ts';

/** A sequence that says what the test wants, when it wants it. */
export class HeldSequence {
  readonly number: number;
  readonly #events: GenerateEvent[] = [];
  #wake: () => void = () => {};
  #failure: Error | null = null;

  constructor(number: number) {
    this.number = number;
  }

  say(text: string): void {
    for (const id of bytes(text)) this.#events.push({ type: 'token', id });
    this.#wake();
  }

  finish(): void {
    this.#events.push({ type: 'token', id: END }, { type: 'finished', reason: 'stop' });
    this.#wake();
  }

  fail(error: Error): void {
    this.#failure = error;
    this.#wake();
  }

  async *run(signal: AbortSignal): AsyncGenerator<GenerateEvent> {
    yield { type: 'pipeline', stages: STAGES, restarts: 0, sequence: this.number };
    for (;;) {
      if (signal.aborted) throw ShoalError.from(signal.reason, 'ABORTED');
      const event = this.#events.shift();
      if (event !== undefined) {
        yield event;
        if (event.type === 'finished') return;
      } else if (this.#failure !== null) throw this.#failure;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      }
    }
  }
}

async function* waiting(signal: AbortSignal): AsyncGenerator<GenerateEvent> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  throw ShoalError.from(signal.reason, 'ABORTED');
}

/** The API before the native engine, whose sequences the test holds. */
export function heldApp({
  keeper,
  variant = '',
  never = false,
}: {
  readonly keeper?: AnswerKeeper;
  readonly variant?: string;
  /** No sequence ever begins. */
  readonly never?: boolean;
} = {}) {
  const sequences: HeldSequence[] = [];
  const generator = new FakeGenerator(({ resume }, signal) => {
    const sequence = new HeldSequence(resume?.sequence ?? 1_000 + Math.floor(Math.random() * 1e9));
    sequences.push(sequence);
    return never ? waiting(signal) : sequence.run(signal);
  });
  const backend = createFxnBackend({
    generator,
    model: fakeModel,
    readiness: () => ({ ready: true, detail: '' }),
    variant,
    randomSeed: () => Math.floor(Math.random() * 2 ** 32),
  });
  const timers = new FakeTimers();
  const counts: AnswerCount[] = [];
  const answers = new KeptAnswers({
    timers,
    onCount: (what) => counts.push(what),
    ...(keeper && { keeper }),
  });
  const native = nativeApp(backend, { answers });
  return { ...native, generator, sequences, timers, answers, counts };
}

export type HeldApp = ReturnType<typeof heldApp>;

export interface SseEvent {
  readonly id: string | null;
  readonly data: string;
}

/** A client that reads event by event, as a library would. */
export class SseClient {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  raw = '';
  #held = '';

  constructor(response: Response) {
    this.#reader = response.body!.getReader();
  }

  /** @returns null at the end */
  async next(): Promise<SseEvent | null> {
    for (;;) {
      const end = this.#held.indexOf('\n\n');
      if (end >= 0) {
        const lines = this.#held.slice(0, end).split('\n');
        this.#held = this.#held.slice(end + 2);
        const field = (name: string) =>
          lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? null;
        const data = field('data');
        if (data !== null) return { id: field('id'), data };
        continue;
      }
      const { done, value } = await this.#reader.read();
      if (done) return null;
      const text = this.#decoder.decode(value, { stream: true });
      this.raw += text;
      this.#held += text;
    }
  }

  async take(count: number): Promise<SseEvent[]> {
    const events: SseEvent[] = [];
    while (events.length < count) {
      const event = await this.next();
      if (event === null) break;
      events.push(event);
    }
    return events;
  }

  rest(): Promise<SseEvent[]> {
    return this.take(Number.POSITIVE_INFINITY);
  }

  hangUp(): Promise<void> {
    return this.#reader.cancel('gone');
  }
}

/** The text of chat chunks. */
export const textOf = (events: readonly SseEvent[]): string =>
  events
    .filter(({ data }) => data !== '[DONE]')
    .map(({ data }) => JSON.parse(data).choices?.[0]?.delta?.content ?? '')
    .join('');
