/** An answer as one of its readers gets it: from the event after the one that it has, and then as they come. */
import { systemClock } from '../../backend/clock.ts';
import { openAiErrorBody } from '../../backend/openai/error.ts';
import { KEEPALIVE_WITH_IDS, sseBody, sseData } from '../../backend/openai/sse.ts';
import { ShoalError } from '../../config/errors.ts';
import { type AnswerForm, withEventId } from './answer-form.ts';
import { writeEventId } from './event-id.ts';
import type { AnswerReader, KeptAnswer } from './kept-answer.ts';

/** Of a stream: the first part of its events' ids, for clients whose libraries do not show them, and for lines, which have none. */
export const ANSWER_HEADER = 'x-shoal-answer';
/** `true` where the answer was computed for an earlier request. */
export const REPLAYED_HEADER = 'idempotent-replayed';

export interface ReadOptions {
  /** The number of the last event that the client has; 0: none. */
  readonly after: number;
  /** Of the events up to that one, as the client was told; null: it does not say. */
  readonly digest: string | null;
  readonly isReplay: boolean;
  /** Aborts when the client hangs up. */
  readonly signal: AbortSignal;
}

/** @throws RATE_LIMITED, ANSWER_LOST, ABORTED, and what the answer's request is refused with */
export async function readAnswer(answer: KeptAnswer, options: ReadOptions): Promise<Response> {
  const { after, digest, isReplay, signal } = options;
  const reader = answer.attach(after);
  const hungUp = new AbortController();
  const hangUp = () => {
    hungUp.abort('the client hung up');
    reader.detach();
    signal.removeEventListener('abort', hangUp);
  };
  if (signal.aborted) hangUp();
  else signal.addEventListener('abort', hangUp);
  try {
    const { status, headers, form } = await unlessAborted(answer.head, hungUp.signal);
    checkPosition(answer, options, form !== 'whole');
    const { id } = answer.identity;
    const frame = (event: Uint8Array, number: number) =>
      form === 'events'
        ? withEventId(
            event,
            writeEventId({ answer: id, event: number, digest: answer.log.digest(number) ?? null }),
          )
        : event;
    const events = withFailure(eventsOf(answer, reader, digest, frame, hungUp.signal, hangUp), form);
    const body =
      form === 'events' ? sseBody(events, systemClock, hangUp, KEEPALIVE_WITH_IDS) : pulled(events, hangUp);
    const response = new Response(body, { status, headers });
    if (form !== 'whole') response.headers.set(ANSWER_HEADER, id);
    if (isReplay) response.headers.set(REPLAYED_HEADER, 'true');
    return response;
  } catch (thrown) {
    hangUp();
    throw thrown;
  }
}

/** @throws ANSWER_LOST */
function checkPosition(answer: KeptAnswer, { after, digest }: ReadOptions, hasEvents: boolean): void {
  const { log, isRestored, isInOrder, state } = answer;
  const lost = (why: string) =>
    new ShoalError(
      'ANSWER_LOST',
      `the answer cannot be read on from event ${after}: ${why}; ask again with another Idempotency-Key`,
    );
  if (after > 0 && !hasEvents) throw lost('it is no stream, and has no events');
  // After a restart the client may have more than is made again so far.
  const isCatchingUp = isRestored && state === 'running';
  if (after > log.count && !isCatchingUp) throw lost(`it has ${log.count} so far`);
  if (after > 0 && digest === null && !isInOrder) {
    throw lost('it was made again after a restart, and events of its choices may come in another order');
  }
  if (after < log.dropped) throw lost(`the first ${log.dropped} are no longer kept`);
  if (digest !== null && after <= log.count && log.digest(after) !== digest) throw otherwise();
}

async function* eventsOf(
  answer: KeptAnswer,
  reader: AnswerReader,
  digest: string | null,
  frame: (event: Uint8Array, number: number) => Uint8Array,
  signal: AbortSignal,
  done: () => void,
): AsyncGenerator<Uint8Array> {
  const { log } = answer;
  const after = reader.position;
  let isChecked = digest === null;
  try {
    while (!signal.aborted) {
      if (!isChecked && log.count >= after) {
        if (log.digest(after) !== digest) throw otherwise();
        isChecked = true;
      }
      const number = reader.position + 1;
      const event = log.event(number);
      if (event !== undefined) {
        reader.position = number;
        answer.moved();
        yield frame(event, number);
      } else if (log.end === null) await log.changed(signal);
      else if (reader.position > log.count) throw log.end.failure ?? shorter();
      else if (log.end.failure === null) return;
      else throw log.end.failure;
    }
  } finally {
    done();
  }
}

/** Says how it failed, as streams do. That has no id: the next run of a server that ends goes on with the events. */
async function* withFailure(
  events: AsyncGenerator<Uint8Array>,
  form: AnswerForm,
): AsyncGenerator<Uint8Array> {
  try {
    yield* events;
  } catch (thrown) {
    if (!(thrown instanceof ShoalError) || form === 'whole') throw thrown;
    yield form === 'events' ? sseData(openAiErrorBody(thrown)) : ndjsonLine({ error: thrown.message });
  }
}

const ndjsonLine = (value: unknown) => new TextEncoder().encode(`${JSON.stringify(value)}\n`);

/** It was made again otherwise than before, which another kind of GPU may do. */
function shorter(): ShoalError {
  return new ShoalError(
    'ANSWER_LOST',
    'the answer that was made again after a restart ended before this event',
  );
}

/** The client has another text than this goes on with. */
function otherwise(): ShoalError {
  return new ShoalError(
    'ANSWER_LOST',
    'the events of the answer up to this one are not those that this id was given for: after a restart they were made again, in another order of its choices, or by another kind of GPU; ask again with another Idempotency-Key',
  );
}

function pulled(events: AsyncGenerator<Uint8Array>, hangUp: () => void): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await events.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: hangUp,
  });
}

/** @throws ABORTED */
function unlessAborted<T>(pending: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    const abort = () => reject(new ShoalError('ABORTED', 'the client hung up'));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  return Promise.race([pending, aborted]);
}
