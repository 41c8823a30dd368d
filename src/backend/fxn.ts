/** The native engine behind the OpenAI API: text to ids, the mesh generates, ids to text. */
import { ShoalError } from '../config/errors.ts';
import { DEFAULT_COMPLETION_TOKENS, STREAM_COMMIT_MS } from '../config/limits.ts';
import { StopStrings } from '../model/stop-strings.ts';
import type { Backend, Readiness } from './backend.ts';
import { type Clock, systemClock } from './clock.ts';
import { continuationDecoder } from './continuation-decoder.ts';
import {
  type GenerationParts,
  type GenerationPiece,
  type GenerationReport,
  generateText,
} from './generation.ts';
import type { TokenGenerator } from './generator.ts';
import { type AnswerShape, chatAnswer, completionAnswer, shoalOf, usageOf } from './openai-answer.ts';
import { openAiErrorBody } from './openai-error.ts';
import {
  type ChatRequest,
  type CompletionRequest,
  parseChatRequest,
  parseCompletionRequest,
} from './openai-schema.ts';
import { chatPrompt, completionPrompt } from './prompt.ts';
import { requestSampling } from './request-sampling.ts';
import type { ServedModel } from './served-model.ts';
import { SSE_DONE, SSE_HEADERS, sseBody, sseData, unlessSilent } from './sse.ts';

export interface FxnOptions {
  readonly generator: TokenGenerator;
  readonly model: ServedModel;
  readonly readiness: (signal: AbortSignal) => Readiness | Promise<Readiness>;
  readonly clock?: Clock;
  /** An unsigned 32-bit number for requests without a seed. */
  readonly randomSeed?: () => number;
}

interface Job {
  readonly request: ChatRequest | CompletionRequest;
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly eosTokenIds: readonly number[];
  readonly shape: AnswerShape;
  readonly decoder: GenerationParts['decoder'];
}

const systemSeed = () => crypto.getRandomValues(new Uint32Array(1))[0]!;

export function createFxnBackend({
  generator,
  model,
  readiness,
  clock = systemClock,
  randomSeed = systemSeed,
}: FxnOptions): Backend {
  const created = unixSeconds(clock);
  const closing = new AbortController();
  // As vLLM: a fine-tune often keeps the base model's config, and only its tokenizer names what ends a turn.
  const { eosTokenId } = model.tokenizer;
  const chatEos = [...new Set([...model.spec.eosTokenIds, ...(eosTokenId === null ? [] : [eosTokenId])])];

  function answer(
    { request, prompt, maxTokens, eosTokenIds, shape, decoder }: Job,
    signal: AbortSignal,
  ): Promise<Response> {
    const hangUp = new AbortController();
    const ended = AbortSignal.any([signal, closing.signal, hangUp.signal]);
    const pieces = generateText(
      {
        generator,
        request: {
          prompt,
          maxTokens,
          eosTokenIds: request.ignore_eos ? [] : eosTokenIds,
          sampling: requestSampling(request, model.defaults ?? {}, randomSeed),
        },
        decoder,
        stop: new StopStrings(request.stop),
        clock,
      },
      ended,
    );
    if (!request.stream) return whole(pieces, shape);
    const includeUsage = request.stream_options?.include_usage ?? false;
    return streamed(pieces, shape, includeUsage, clock, () => hangUp.abort());
  }

  function checkModel(name: string): void {
    if (name === model.id) return;
    throw new ShoalError('MODEL_NOT_FOUND', `no model "${name}" here; this server serves ${model.id}`, {
      param: 'model',
    });
  }

  const head = () => ({
    id: crypto.randomUUID().replaceAll('-', ''),
    created: unixSeconds(clock),
    model: model.id,
  });

  return {
    provider: 'fxn',
    models: async () => [{ id: model.id, created, ownedBy: 'shoal' }],
    readiness: async (signal) => readiness(signal),

    async chatCompletions(body, { signal }) {
      const request = parseChatRequest(body);
      checkModel(request.model);
      const prompt = chatPrompt(model, request.messages);
      const wanted = request.max_completion_tokens ?? request.max_tokens;
      const decoder = model.tokenizer.createDecoder();
      const maxTokens = room(prompt, wanted);
      return answer(
        { request, prompt, maxTokens, eosTokenIds: chatEos, shape: chatAnswer(head()), decoder },
        signal,
      );
    },

    async completions(body, { signal }) {
      const request = parseCompletionRequest(body);
      checkModel(request.model);
      const prompt = completionPrompt(model, request.prompt);
      const maxTokens = room(prompt, request.max_tokens ?? DEFAULT_COMPLETION_TOKENS);
      const decoder = continuationDecoder(model.tokenizer, prompt);
      const { eosTokenIds } = model.spec;
      return answer(
        { request, prompt, maxTokens, eosTokenIds, shape: completionAnswer(head()), decoder },
        signal,
      );
    },

    async close() {
      closing.abort(new ShoalError('ABORTED', 'the server is shutting down; send the request again'));
    },
  };

  /** max_tokens is an upper bound, so one beyond the context is cut to it; the finish reason then says `length`. */
  function room(prompt: readonly number[], wanted = Number.POSITIVE_INFINITY): number {
    return Math.min(wanted, model.spec.contextLength - prompt.length);
  }
}

const unixSeconds = (clock: Clock) => Math.floor(clock.epochMs() / 1000);

async function whole(pieces: AsyncIterable<GenerationPiece>, shape: AnswerShape): Promise<Response> {
  let text = '';
  for await (const piece of pieces) {
    if (piece.type === 'text') text += piece.text;
    if (piece.type === 'finished') {
      const { reason, report } = piece;
      return Response.json({ ...shape.whole(text, reason), usage: usageOf(report), shoal: shoalOf(report) });
    }
  }
  throw new ShoalError('INTERNAL', 'the generation ended without a finish reason');
}

/** @throws what fails within STREAM_COMMIT_MS, so that a client without a pipeline sees a status, not a stream */
async function streamed(
  pieces: AsyncGenerator<GenerationPiece>,
  shape: AnswerShape,
  includeUsage: boolean,
  clock: Clock,
  hangUp: () => void,
): Promise<Response> {
  const first = pieces.next();
  // Whoever awaits it later sees the rejection too; unobserved in between, it would end the process.
  first.catch(() => {});
  await unlessSilent(first, clock, STREAM_COMMIT_MS);
  const events = chunks(resume(first, pieces), shape, includeUsage);
  return new Response(sseBody(events, clock, hangUp), { headers: SSE_HEADERS });
}

/** `rest` with its first `next()` already under way. */
async function* resume<T>(first: Promise<IteratorResult<T>>, rest: AsyncGenerator<T>): AsyncGenerator<T> {
  try {
    const result = await first;
    if (result.done) return;
    yield result.value;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

async function* chunks(
  pieces: AsyncIterable<GenerationPiece>,
  shape: AnswerShape,
  includeUsage: boolean,
): AsyncGenerator<Uint8Array> {
  // With include_usage every chunk has the field, null on all but the last (OpenAI).
  const chunk = (value: Record<string, unknown>) => sseData(includeUsage ? { ...value, usage: null } : value);
  try {
    for await (const piece of pieces) {
      switch (piece.type) {
        case 'started': {
          const first = shape.first();
          if (first !== null) yield chunk(first);
          break;
        }
        case 'text':
          yield chunk(shape.delta(piece.text));
          break;
        case 'finished':
          yield chunk({ ...shape.last(piece.reason), shoal: shoalOf(piece.report) });
          if (includeUsage) yield usageChunk(shape, piece.report);
          yield SSE_DONE;
          break;
        default:
          piece satisfies never;
      }
    }
  } catch (thrown) {
    yield sseData(openAiErrorBody(ShoalError.from(thrown)));
  }
}

const usageChunk = (shape: AnswerShape, report: GenerationReport) =>
  sseData({ ...shape.bare(), usage: usageOf(report) });
