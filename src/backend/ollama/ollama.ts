/** An Ollama behind this node's API, by its own API: requests and answers are translated, both ways. */
import { ShoalError } from '../../config/errors.ts';
import { withExact } from '../../config/exact-json.ts';
import type { Backend, RequestContext } from '../backend.ts';
import { type ChoicePiece, mergedChoices } from '../choices.ts';
import { systemClock } from '../clock.ts';
import { AnswerProgress } from '../proxy/answer-progress.ts';
import type { OpenAiProxyConfig, ProxyOptions } from '../proxy/openai-proxy.ts';
import { Upstream } from '../proxy/upstream.ts';
import { Watchdog } from '../watchdog.ts';
import { streamedAnswer, wholeAnswer } from './answer.ts';
import { type AnswerForm, type AnswerHead, chatForm, completionForm } from './answer-form.ts';
import { chatLineSchema, generateLineSchema, type Piece } from './api.ts';
import { DescribedModels } from './described.ts';
import type { Asked } from './errors.ts';
import { askVersion, canSee, listModels, pullHint, sameModel, showModel } from './models.ts';
import { type PiecesRequest, piecesOf } from './pieces.ts';
import { type Translated, translateChat, translateCompletion } from './requests.ts';

interface Endpoint {
  readonly path: PiecesRequest['path'];
  readonly line: PiecesRequest['line'];
  readonly textParameter: Asked['textParameter'];
  form(head: AnswerHead, withLogprobs: boolean): AnswerForm;
}

const CHAT: Endpoint = {
  path: '/api/chat',
  line: chatLineSchema,
  textParameter: 'messages',
  form: chatForm,
};
const GENERATE: Endpoint = {
  path: '/api/generate',
  line: generateLineSchema,
  textParameter: 'prompt',
  form: completionForm,
};

/** Schemas that go on as they are; the arguments of calls are text. */
const EXACT = ['tools', 'response_format'];

/** Longer than anything waits: what setTimeout takes. */
const NEVER_MS = 2 ** 31 - 1;

/**
 * `onAnswered` is called for what was answered. Where a call throws, another node may be tried, and its report is the one
 * that counts.
 */
export function createOllamaBackend(
  config: OpenAiProxyConfig,
  { fetch: request = fetch, clock = systemClock }: ProxyOptions = {},
): Backend {
  const { timeouts, modelNameAlias: alias } = config;
  const upstream = new Upstream(
    {
      ...config,
      base: ollamaRoot(config.url),
      unreachableRemedy:
        'start it with `ollama serve`, and check that url in model_backend.yaml is its address (default http://localhost:11434)',
    },
    request,
    clock,
  );

  const closing = new AbortController();
  const described = new DescribedModels((name) => showModel(upstream, name, closing.signal), clock);

  async function answer(
    endpoint: Endpoint,
    wanted: Translated<object>,
    context: RequestContext,
  ): Promise<Response> {
    const { choices, model: ours } = wanted;
    const asked: Asked = {
      ours,
      theirs: alias ?? ours,
      thinkParameter: wanted.thinkParameter,
      textParameter: endpoint.textParameter,
    };
    const own = new AbortController();
    const hangUp = () => own.abort();
    const signal = AbortSignal.any([context.signal, own.signal]);
    const withLogprobs = wanted.topLogprobs !== undefined;
    const reported = alias === undefined ? ours : (config.fxnId ?? alias);
    const progress = new AnswerProgress(
      { model: reported, choices, logprobs: withLogprobs },
      clock,
      context.onAnswered,
    );
    if (wanted.firstImage !== undefined && !(await canSee(upstream, asked, signal)))
      throw new ShoalError(
        'UNSUPPORTED_PARAMETER',
        `${wanted.firstImage}: the model ${ours} reads no pictures; send text only, or ask for a model that sees`,
        { param: wanted.firstImage },
      );
    const streams = Array.from({ length: choices }, (_, choice) =>
      piecesOf(
        upstream,
        {
          ...asked,
          path: endpoint.path,
          line: endpoint.line,
          body: wanted.body(asked.theirs, choice),
          logprobs: withLogprobs,
          // Several may be answered one after the other (OLLAMA_NUM_PARALLEL is 1 by default), each behind those before it.
          deadlineMs: choices === 1 ? timeouts.firstByte : NEVER_MS,
        },
        signal,
      ),
    );
    const head = { id: randomId(), created: Math.floor(clock.epochMs() / 1000), model: ours };
    const parts = {
      pieces: sideBySide(streams, hangUp, (ms) => own.abort(silent(ms))),
      form: endpoint.form(head, withLogprobs),
      choices,
      choicesPerPrompt: wanted.choicesPerPrompt,
      progress,
      clock,
      upstream,
      includeUsage: wanted.includeUsage,
      hangUp,
    };
    return wanted.stream ? streamedAnswer(parts) : wholeAnswer(parts);
  }

  /** Of several choices one must come on within `firstByte`; then the next one's turn may begin. */
  async function* sideBySide(
    streams: readonly AsyncGenerator<Piece>[],
    abort: () => void,
    onSilent: (ms: number) => void,
  ): AsyncGenerator<ChoicePiece<Piece>> {
    let open = streams.length;
    // What has ended is left to be read to its last byte, so that its connection serves the next request.
    const merged = mergedChoices(streams, () => open > 0 && abort());
    const watchdog = new Watchdog(clock, onSilent);
    try {
      for (;;) {
        if (streams.length > 1) watchdog.arm(timeouts.firstByte);
        const next = await merged.next();
        watchdog.rest();
        if (next.done) return;
        if (next.value.piece.end !== null) open--;
        yield next.value;
      }
    } finally {
      watchdog.stop();
      await merged.return(undefined);
    }
  }

  const silent = (ms: number) =>
    upstream.failed(`was silent for ${ms / 1000} s; look at its log`, { code: 'DEADLINE_EXCEEDED' });

  return {
    provider: 'ollama',
    async models(signal) {
      const all = await listModels(upstream, described, signal);
      if (alias === undefined) return all;
      const own = all.find(({ id }) => sameModel(id, alias));
      return [{ created: 0, ownedBy: 'library', ...own, id: config.fxnId ?? alias }];
    },
    async readiness(signal) {
      try {
        const [version, all] = await Promise.all([
          askVersion(upstream, signal),
          listModels(upstream, described, signal),
        ]);
        const names = all.map(({ id }) => id);
        const missing = pullHint(names, alias);
        if (missing !== undefined) return { ready: false, detail: `Ollama ${version} ${missing}` };
        const shown = names.filter((name) => name.includes(':')).slice(0, 3);
        return { ready: true, detail: `forwarding to Ollama ${version}, which has ${shown.join(', ')}` };
      } catch (thrown) {
        return { ready: false, detail: ShoalError.from(thrown, 'BACKEND_FAILED').message };
      }
    },
    chatCompletions: async (body, context) =>
      answer(
        CHAT,
        translateChat(withExact(body, context.text, EXACT), context.onUnknown, context.text),
        context,
      ),
    completions: async (body, context) =>
      answer(GENERATE, translateCompletion(body, context.onUnknown, context.text), context),
    async close() {
      closing.abort();
      upstream.close(new ShoalError('ABORTED', 'the server is shutting down; send the request again'));
    },
  };
}

/** People write the address with either API behind it. */
function ollamaRoot(url: string): string {
  return url.replace(/\/+$/, '').replace(/\/(v1|api)$/, '');
}

/** crypto.randomUUID is there in secure contexts only, and a page may be served without TLS. */
function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}
