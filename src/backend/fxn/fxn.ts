/** The native engine behind the OpenAI API: text to ids, the mesh generates, ids to text. */
import { ShoalError } from '../../config/errors.ts';
import { DEFAULT_COMPLETION_TOKENS } from '../../config/limits.ts';
import { StopStrings } from '../../model/text/stop-strings.ts';
import type { AnswerBeginning, Backend, Readiness, RequestContext } from '../backend.ts';
import { mergedChoices } from '../choices.ts';
import { type Clock, systemClock } from '../clock.ts';
import { Ending } from '../ending.ts';
import { linkedSignal } from '../linked-signal.ts';
import { exactSeed } from '../openai/exact-seed.ts';
import { parseChatRequest, parseCompletionRequest } from '../openai/request-schema.ts';
import { AnswerTally, reported } from './answer-report.ts';
import { streamedAnswer, usageWanted, wholeAnswer } from './answer-stream.ts';
import { continuationDecoders } from './continuation-decoder.ts';
import { type GenerationCounts, type GenerationParts, generateText } from './generation.ts';
import type { TokenGenerator } from './generator.ts';
import { modelDetails } from './model-details.ts';
import { type AnswerHead, type AnswerShape, chatAnswer, completionAnswer } from './openai-answer.ts';
import { checkIds, checkRawIds } from './prompt-length.ts';
import { choiceSeed, requestSampling, type SeededRequest } from './request-sampling.ts';
import type { ServedModel } from './served-model.ts';

export interface FxnOptions {
  readonly generator: TokenGenerator;
  readonly model: ServedModel;
  readonly readiness: (signal: AbortSignal) => Readiness | Promise<Readiness>;
  /** What else decides its tokens, such as the numbers that it computes with: kept answers go on only where it is the same. */
  readonly variant?: string;
  readonly clock?: Clock;
  /** An unsigned 32-bit number for requests without a seed. */
  readonly randomSeed?: () => number;
}

interface Job {
  readonly startMs: number;
  readonly head: AnswerHead;
  readonly request: SeededRequest;
  /** Each gets `n` choices. */
  readonly prompts: readonly (readonly number[])[];
  /** Absent: what the context leaves. */
  readonly maxTokens: number | undefined;
  readonly eosTokenIds: readonly number[];
  readonly topLogprobs: number | undefined;
  readonly shape: AnswerShape;
  /** One for each of `n` choices. */
  readonly decoders: (prompt: readonly number[], n: number) => Promise<GenerationParts['decoder'][]>;
}

/** Its sequences are noted as they come. */
interface Beginning extends AnswerBeginning {
  readonly sequences: (number | null)[];
}

const systemSeed = () => crypto.getRandomValues(new Uint32Array(1))[0]!;

export function createFxnBackend({
  generator,
  model,
  readiness,
  variant = '',
  clock = systemClock,
  randomSeed = systemSeed,
}: FxnOptions): Backend {
  const created = unixSeconds(clock);
  const details = modelDetails(model);
  const closing = new Ending();
  const kind = JSON.stringify([model.id, model.spec, model.eosTokenId, model.defaults ?? null, variant]);
  // As vLLM: a fine-tune often keeps the base model's config, and only its tokenizer names what ends a turn.
  const { eosTokenId, tokens, prompts } = model;
  const chatEos = [...new Set([...model.spec.eosTokenIds, ...(eosTokenId === null ? [] : [eosTokenId])])];
  const tokenBytes = (id: number) => tokens.tokenBytes(id);

  async function answer(job: Job, context: RequestContext): Promise<Response> {
    const { signal, onAnswered, keeping } = context;
    const { request, shape } = job;
    const beginning = beginningOf(job, keeping?.before);
    const decoders: GenerationParts['decoder'][][] = [];
    for (const prompt of job.prompts) decoders.push(await job.decoders(prompt, request.n));
    const ended = linkedSignal(signal, closing);
    const hangUp = () => ended.abort();
    const tally = new AnswerTally(
      job.prompts.length * request.n,
      job.prompts.reduce((sum, prompt) => sum + prompt.length, 0),
    );
    let choices: ReturnType<typeof generations>;
    try {
      choices = job.prompts.flatMap((_, at) =>
        generations(job, at, decoders[at]!, beginning, tally.counts, ended.signal, context),
      );
      await keeping?.begun(beginning);
    } catch (thrown) {
      // A refused request would else hang on the server's own end for good.
      ended.unlink();
      throw thrown;
    }
    const merged = mergedChoices(choices, () => {
      ended.unlink();
      hangUp();
    });
    const pieces = reported(merged, tally, { model: model.id, clock, startMs: job.startMs, onAnswered });
    if (!request.stream) {
      const withLogprobs = job.topLogprobs !== undefined;
      return wholeAnswer(pieces, shape, tally, { choices: choices.length, withLogprobs });
    }
    const usage = usageWanted(request.stream_options);
    return streamedAnswer(pieces, shape, tally, { usage, clock, hangUp });
  }

  function generations(
    job: Job,
    promptAt: number,
    decoders: readonly GenerationParts['decoder'][],
    beginning: Beginning,
    counts: GenerationCounts,
    signal: AbortSignal,
    { client, keeping }: RequestContext,
  ) {
    const { request, maxTokens = Number.POSITIVE_INFINITY, topLogprobs } = job;
    const { contextLength, vocab } = model.spec;
    const prompt = job.prompts[promptAt]!;
    const sampling = requestSampling(request, model, () => beginning.seeds[promptAt]!);
    return decoders.map((decoder, choice) => {
      const index = promptAt * request.n + choice;
      const sequence = keeping?.before?.sequences[index] ?? null;
      return generateText(
        {
          generator,
          request: {
            prompt,
            // An upper bound, so one beyond the context is cut to it; the finish reason then says `length`.
            maxTokens: Math.min(maxTokens, contextLength - prompt.length),
            eosTokenIds: request.ignore_eos ? [] : job.eosTokenIds,
            sampling: { ...sampling, seed: choiceSeed(sampling.seed, choice) },
            ...(topLogprobs !== undefined && { topLogprobs: Math.min(topLogprobs, vocab) }),
            ...(client !== undefined && { client }),
            // All of its tokens are told again: text and events are made of them anew.
            ...(keeping?.before && { resume: { sequence, ids: [] } }),
            ...(keeping && { outlives: true }),
          },
          decoder,
          stop: new StopStrings(request.stop),
          tokenBytes,
          clock,
          counts,
          onSequence: (number) => {
            if (beginning.sequences[index] === number) return;
            beginning.sequences[index] = number;
            void keeping?.begun(beginning);
          },
        },
        signal,
      );
    });
  }

  function beginningOf({ request, prompts, head }: Job, before: AnswerBeginning | undefined): Beginning {
    if (before !== undefined) return { ...before, sequences: [...before.sequences] };
    return {
      model: kind,
      id: head.id,
      created: head.created,
      prompts,
      seeds: prompts.map(() => (request.seed === undefined ? randomSeed() : 0)),
      sequences: prompts.flatMap(() => Array.from({ length: request.n }, () => null)),
    };
  }

  /** What an answer began with in an earlier run. @throws ANSWER_LOST where this server would answer otherwise */
  function checkBefore({ keeping }: RequestContext): AnswerBeginning | undefined {
    const before = keeping?.before;
    if (before === undefined || before.model === kind) return before;
    throw new ShoalError('ANSWER_LOST', 'the server was started anew with another model; ask again');
  }

  function checkModel(name: string): void {
    if (name === model.id) return;
    throw new ShoalError('MODEL_NOT_FOUND', `no model "${name}" here; this server serves ${model.id}`, {
      param: 'model',
    });
  }

  /** One after the other: together they would take other clients' turns. */
  async function promptsOf(
    given: readonly (string | readonly number[])[],
    context: RequestContext,
  ): Promise<number[][]> {
    const all: number[][] = [];
    for (const prompt of given) {
      all.push(
        typeof prompt === 'string'
          ? await prompts.completion(prompt, context)
          : checkIds(model, [...prompt], 'prompt'),
      );
    }
    return all;
  }

  const headOf = (before: AnswerBeginning | undefined): AnswerHead => ({
    id: before?.id ?? crypto.randomUUID().replaceAll('-', ''),
    created: before?.created ?? unixSeconds(clock),
    model: model.id,
  });

  return {
    provider: 'fxn',
    models: async () => [{ id: model.id, created, ownedBy: 'shoal', details }],
    readiness: async (signal) => readiness(signal),

    async chatCompletions(body, context) {
      const request = parseChatRequest(body, context.onUnknown);
      checkModel(request.model);
      const startMs = clock.now();
      const before = checkBefore(context);
      const head = headOf(before);
      const job: Job = {
        startMs,
        head,
        request: { ...request, seed: exactSeed(request.seed, context.text) },
        prompts: before?.prompts ?? [await prompts.chat(request, context)],
        maxTokens: request.max_completion_tokens ?? request.max_tokens,
        eosTokenIds: chatEos,
        topLogprobs: request.logprobs ? (request.top_logprobs ?? 0) : undefined,
        shape: chatAnswer(head, tokenBytes),
        decoders: async (_prompt, n) => Array.from({ length: n }, () => tokens.createDecoder()),
      };
      return answer(job, context);
    },

    async completions(body, context) {
      checkRawIds(model, body);
      const request = parseCompletionRequest(body, context.onUnknown);
      checkModel(request.model);
      const startMs = clock.now();
      const before = checkBefore(context);
      const head = headOf(before);
      const job: Job = {
        startMs,
        head,
        request: { ...request, seed: exactSeed(request.seed, context.text) },
        prompts: before?.prompts ?? (await promptsOf(request.prompt, context)),
        maxTokens: request.max_tokens ?? DEFAULT_COMPLETION_TOKENS,
        eosTokenIds: model.spec.eosTokenIds,
        topLogprobs: request.logprobs,
        shape: completionAnswer(head, tokenBytes),
        decoders: (prompt, n) => continuationDecoders(tokens, prompt, n),
      };
      return answer(job, context);
    },

    async close() {
      closing.abort(new ShoalError('ABORTED', 'the server is shutting down; send the request again'));
      await prompts.close();
    },
  };
}

const unixSeconds = (clock: Clock) => Math.floor(clock.epochMs() / 1000);
