import type {
  GenerateEvent,
  GenerateRequest,
  ServingStage,
  TokenGenerator,
} from '../../src/backend/fxn/generator.ts';
import { ShoalError } from '../../src/config/errors.ts';
import type { TokenLogprobs } from '../../src/model/sampling.ts';
import { bytes, END } from './fake-model.ts';

export const STAGES: ServingStage[] = [
  { peer: 'p1', name: 'tab 1', layers: [0, 1] },
  { peer: 'p2', name: 'tab 2', layers: [1, 2] },
];

type Script = (request: GenerateRequest, signal: AbortSignal) => AsyncIterable<GenerateEvent>;

/** Plays a script, and knows which sequences are still held. */
export class FakeGenerator implements TokenGenerator {
  readonly requests: GenerateRequest[] = [];
  open = 0;
  delivered = 0;
  script: Script;

  constructor(script: Script) {
    this.script = script;
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateEvent> {
    this.requests.push(request);
    this.open++;
    try {
      for await (const event of this.script(request, signal)) {
        if (event.type === 'token') this.delivered++;
        yield event;
      }
    } finally {
      this.open--;
    }
  }
}

/** Whatever the id: the likeliest tokens count up from it. */
export function fakeLogprobs(id: number, count: number): TokenLogprobs {
  return { picked: -id / 256, top: Array.from({ length: count }, (_, i) => [(id + i) % 261, -id / 256 - i]) };
}

/** One token a byte of `text`, then the end token, or `length` when max_tokens comes first. */
export function says(text: string): Script {
  return async function* ({ maxTokens, topLogprobs }) {
    yield { type: 'pipeline', stages: STAGES, restarts: 0 };
    const ids = [...bytes(text), END];
    for (const id of ids.slice(0, maxTokens)) {
      yield {
        type: 'token',
        id,
        ...(topLogprobs !== undefined && { logprobs: fakeLogprobs(id, topLogprobs) }),
      };
    }
    yield { type: 'finished', reason: maxTokens < ids.length ? 'length' : 'stop' };
  };
}

/** Says `text`, then nothing until the signal aborts. */
export function stallsAfter(text: string, onStall = () => {}): Script {
  return async function* (_, signal) {
    yield { type: 'pipeline', stages: STAGES, restarts: 0 };
    for (const id of bytes(text)) yield { type: 'token', id };
    onStall();
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve());
    });
    throw new ShoalError('ABORTED', 'the client hung up');
  };
}

export function fails(error: Error, after = ''): Script {
  return async function* () {
    if (after !== '') yield { type: 'pipeline', stages: STAGES, restarts: 0 };
    for (const id of bytes(after)) yield { type: 'token', id };
    throw error;
  };
}
