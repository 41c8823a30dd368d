/** What Ollama says went wrong, as this API's own errors. Its texts are in server/routes.go and server/sched.go. */
import { ShoalError } from '../../config/errors.ts';
import { MAX_UPSTREAM_EVENT_BYTES, RETRY_AFTER_SECONDS } from '../../config/limits.ts';
import type { Upstream, UpstreamAnswer } from '../proxy/upstream.ts';
import { bounded, parseJson } from '../proxy/upstream-error.ts';
import { ToldByBackend } from '../told-by-backend.ts';
import { saidIn } from './api.ts';

/** What of the request an error may be about. */
export interface Asked {
  /** The client's name for the model. */
  readonly ours: string;
  /** Ollama's. */
  readonly theirs: string;
  readonly thinkParameter: string;
  /** Where the client's text stands. */
  readonly textParameter: 'messages' | 'prompt';
}

/** An answer with an error's status. Reads it to its end. */
export async function refusedBy(
  upstream: Upstream,
  answer: UpstreamAnswer,
  asked: Asked,
): Promise<ShoalError> {
  const { status, response } = answer;
  const text = await answer.text(MAX_UPSTREAM_EVENT_BYTES);
  const error = saidIn(parseJson(text ?? ''));
  const message = error === null ? '' : bounded(upstream, error, asked);
  const said = message === '' ? '' : `: ${message}`;
  if (status === 401)
    return upstream.failed(
      upstream.hasKey
        ? `refused this node’s key (401)${said}; correct api_key or bearer_token in model_backend.yaml`
        : `asks for a key (401)${said}; set api_key or bearer_token in model_backend.yaml, or for a model of Ollama’s cloud run ollama signin there`,
      { said: message },
    );
  if (status === 403)
    return upstream.failed(
      `refused this node (403)${said}; it answers to other host names only when started with OLLAMA_HOST=0.0.0.0, and a proxy before it may want another key`,
      { said: message },
    );
  if (status === 429 || status === 503) {
    const given = Number(response.headers.get('retry-after') ?? Number.NaN);
    return upstream.failed(
      'is busy, its queue is full; try again, or raise OLLAMA_MAX_QUEUE or OLLAMA_NUM_PARALLEL there',
      { code: 'OVERLOADED', retryAfterSeconds: given > 0 ? given : RETRY_AFTER_SECONDS },
    );
  }
  if (error === null)
    return upstream.failed(
      `answered ${status} without an Ollama error; check that url in model_backend.yaml is an Ollama`,
    );
  return saidError(upstream, status, error, asked);
}

/** @param status of the answer; 500 for an error in the middle of a stream */
export function saidError(upstream: Upstream, status: number, said: string, asked: Asked): ShoalError {
  const message = bounded(upstream, said, asked);
  if (/^model (['"]).*\1 not found/i.test(said)) return modelMissing(upstream, asked.theirs);
  const missing = /does not support ((?:(?:tools|thinking|insert|vision|chat|generate)\s*)+)/i.exec(
    said,
  )?.[1];
  if (missing !== undefined) return cannot(missing.trim().split(/\s+/), asked);
  if (
    /longer than the context|exceeds? (?:the |maximum )?(?:available )?context|input length exceeds/i.test(
      said,
    )
  )
    return new ShoalError(
      'CONTEXT_LENGTH_EXCEEDED',
      `${message}; send less, or ask for a longer context with num_ctx (Ollama’s default is short)`,
      { param: asked.textParameter },
    );
  if (status === 400 || status === 422)
    return new ShoalError('INVALID_REQUEST', `Ollama refused the request: ${message}`);
  if (status === 404) return upstream.failed(`has no such API: ${message}`, { said: message });
  return upstream.failed(`failed: ${message}`, { cause: new ToldByBackend(status), said: message });
}

/** @param model Ollama's name for it */
export function modelMissing(upstream: Upstream, model: string): ShoalError {
  return upstream.failed(`has no model "${model}"; ${pullCommand(model)}`, {
    code: 'MODEL_NOT_FOUND',
    param: 'model',
  });
}

/** A name that is none of Ollama's stays out of what a person may paste into a shell. */
export function pullCommand(model: string): string {
  return /^[\w./:@-]+$/.test(model) && !model.startsWith('-')
    ? `on its machine run: ollama pull ${model}`
    : 'on its machine run ollama list, and ask for one of those';
}

function cannot(capabilities: readonly string[], asked: Asked): ShoalError {
  /** The parameter that each of Ollama's capabilities is asked for with. */
  const params: Record<string, string> = {
    tools: 'tools',
    thinking: asked.thinkParameter,
    insert: 'suffix',
    vision: 'messages',
    chat: 'messages',
    generate: 'prompt',
  };
  const param = params[capabilities[0]?.toLowerCase() ?? ''] ?? 'model';
  return new ShoalError(
    'UNSUPPORTED_PARAMETER',
    `${param} is not supported: to Ollama the model ${asked.ours} does not support ${capabilities.join(', ')}; leave it out, or ask for another model`,
    { param },
  );
}
