/** What every request for an answer goes through, whichever API it speaks: body, count, report, release. */
import type { Context } from 'hono';
import type {
  AnsweringNode,
  AnswerKeeping,
  AnswerReport,
  Backend,
  RequestContext,
} from '../../backend/backend.ts';
import { IgnoredParameters, WARNING_HEADER } from '../../backend/openai/unknown-parameters.ts';
import { LENDERS_HEADER, readLenders, SERVED_BY_HEADER, writeServedBy } from '../../backend/served-by.ts';
import {
  MAX_BODY_BYTES,
  MAX_JSON_VALUES,
  MAX_PROXY_BODY_BYTES,
  MAX_PROXY_JSON_VALUES,
} from '../../config/limits.ts';
import { answersAsked } from '../access/answers-asked.ts';
import { generationOf } from '../access/generation.ts';
import type { AnswerRecord } from '../answers/answer-record.ts';
import { digestOf, IDEMPOTENCY_KEY_HEADER, readIdempotencyKey } from '../answers/idempotency-key.ts';
import type { KeptAnswer } from '../answers/kept-answer.ts';
import type { KeptAnswers } from '../answers/kept-answers.ts';
import { readAnswer } from '../answers/read-answer.ts';
import { restoredIn } from '../answers/restore.ts';
import type { RequestsInFlight } from '../requests-in-flight.ts';
import { type BodyBounds, type JsonBody, readJsonBody } from './request-body.ts';
import { checkRequestSizes } from './request-sizes.ts';

const NATIVE: BodyBounds = { maxBytes: MAX_BODY_BYTES, maxValues: MAX_JSON_VALUES };
const PROXY: BodyBounds = { maxBytes: MAX_PROXY_BODY_BYTES, maxValues: MAX_PROXY_JSON_VALUES };

type Call = (body: unknown, context: RequestContext) => Promise<Response>;

export type Answering = (c: Context, call: Call) => Promise<Response>;

/**
 * The context's signal aborts when the client hangs up, and when the server ends the request. With an Idempotency-Key the
 * answer is computed apart from the client's connection (`KeptAnswers`), and its signal aborts when nobody wants it any more.
 *
 * @param hasProxies whether a node other than the mesh may answer, such as a provider that joined
 * @param isStrict whether a parameter that nobody here knows refuses the request; else the client is told
 */
export function createAnswering(
  backend: Backend,
  requests: RequestsInFlight,
  hasProxies: () => boolean,
  answers: KeptAnswers,
  isStrict = false,
): Answering {
  return async (c, call) => {
    // Before the body is read, so that nobody uploads in vain; `begin` asks again.
    requests.checkTaking();
    // Images go to a proxy within the JSON.
    const takesImages = backend.provider !== 'fxn' || hasProxies();
    const json = await readJsonBody(c, takesImages ? PROXY : NATIVE);
    checkRequestSizes(json.body);
    const { path } = c.req;
    const exchange = c.get('exchange');
    const lenders = c.req.header(LENDERS_HEADER);
    const request = { path, text: json.text, lenders: lenders ?? null };
    const start = (record?: AnswerRecord) => (kept: () => KeptAnswer) => (signal: AbortSignal) => {
      exchange.onReport(({ outcome }) => {
        if (outcome === 'error' || outcome === 'aborted') kept().broke();
      });
      return answer(c, call, json, signal, answers.keeping(kept, request, record));
    };
    const restored = restoredIn(c.env);
    if (restored !== null) {
      exchange.client = `kept ${restored.identity.owner}`;
      answers.restore(restored, start(restored));
      return new Response(null, { status: 202 });
    }
    const key = generationOf(path, json.body) && readIdempotencyKey(c.req.header(IDEMPOTENCY_KEY_HEADER));
    if (key === null) return answer(c, call, json, c.req.raw.signal);
    const asked = {
      owner: exchange.client,
      idempotencyKey: key,
      fingerprint: digestOf(path, json.text, lenders ?? '*'),
      lastEventId: c.req.header('last-event-id'),
    };
    const taken = answers.take(asked, start());
    const release = exchange.hold();
    try {
      return untilRead(await readAnswer(taken.answer, { ...taken, signal: c.req.raw.signal }), release);
    } catch (error) {
      release();
      throw error;
    }
  };

  /** @param wanted aborts when the answer is wanted no longer */
  async function answer(
    c: Context,
    call: Call,
    { body, text }: JsonBody,
    wanted: AbortSignal,
    keeping?: AnswerKeeping,
  ): Promise<Response> {
    const exchange = c.get('exchange');
    exchange.claim(answersAsked(c.req.path, body));
    const request = requests.begin(wanted);
    const release = exchange.hold();
    const ended = () => {
      request.end();
      release();
    };
    exchange.generation = generationOf(c.req.path, body);
    const onAnswered = (report: AnswerReport) => exchange.answered(report);
    const lenders = readLenders(c.req.header(LENDERS_HEADER));
    let by: AnsweringNode | null = null;
    const onRouted = (node: AnsweringNode) => {
      by = node;
    };
    const ignored = new IgnoredParameters(isStrict);
    const warn = () => {
      if (!ignored.isEmpty) exchange.warning = String(ignored);
    };
    try {
      const context: RequestContext = {
        signal: request.signal,
        client: exchange.client,
        text,
        onAnswered,
        onRouted,
        onUnknown: ignored.add,
        ...(lenders && { lenders }),
        ...(keeping && { keeping }),
      };
      const response = untilRead(await call(body, context), ended);
      if (by !== null) response.headers.set(SERVED_BY_HEADER, writeServedBy(by));
      warn();
      if (exchange.warning !== null) response.headers.set(WARNING_HEADER, exchange.warning);
      return response;
    } catch (error) {
      // A name that is misspelled may be the one that is missed.
      warn();
      ended();
      throw error;
    }
  }
}

/** Calls `ended` once, when the body was read to its end, broke, or was cancelled. */
function untilRead(response: Response, ended: () => void): Response {
  if (response.body === null) {
    ended();
    // A copy: the headers of a response that fetch gave are immutable, and ours are still to be added.
    return new Response(null, response);
  }
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        controller.close();
        ended();
      } catch (error) {
        ended();
        controller.error(error);
      }
    },
    cancel(reason) {
      // Afterwards: the backend then has said what became of it.
      return reader.cancel(reason).finally(ended);
    },
  });
  return new Response(body, response);
}
