/** An upstream's event stream on its way to the client. */
import { ShoalError } from '../../config/errors.ts';
import { isObject } from '../../config/json-object.ts';
import { withMembers } from '../../config/json-text.ts';
import { openAiErrorBody } from '../openai/error.ts';
import { SSE_DONE, sseData, sseText } from '../openai/sse.ts';
import type { AnswerProgress } from './answer-progress.ts';
import { type EventBlock, EventBlocks } from './event-blocks.ts';
import { renameModel } from './model-name.ts';
import { readError, type TheirError } from './their-error.ts';
import type { Upstream, UpstreamAnswer } from './upstream.ts';
import { bounded, type Names, parseJson } from './upstream-error.ts';

const DONE = '[DONE]';

/** The backend's own error in the place of an event. */
export class ErrorEvent extends Error {
  readonly theirs: TheirError;

  constructor(theirs: TheirError) {
    super(theirs.message);
    this.theirs = theirs;
  }
}

/**
 * The bytes of each event as they came, unless they hold a model's name to exchange, a key, no UTF-8 (which becomes U+FFFD),
 * or a form of event that only some clients read. Every event is parsed, to tell broken ones and to know how the answer
 * goes; its JSON is never written anew.
 *
 * @param hidesUsage the client did not ask for the event that tells the usage
 * @throws ShoalError, ErrorEvent when the stream breaks off, stalls, or ends without saying so: no client may take half an
 *   answer for a whole one
 */
export async function* relayEvents(
  upstream: Upstream,
  answer: UpstreamAnswer,
  progress: AnswerProgress,
  names: Names,
  hidesUsage: boolean,
): AsyncGenerator<Uint8Array> {
  const blocks = new EventBlocks();
  let hasBegun = false;
  for await (const chunk of answer.chunks('told')) {
    const passed: Uint8Array[] = [];
    let failure: unknown;
    try {
      for (const block of blocks.push(chunk)) {
        if (block.data?.trim() === DONE) {
          progress.checkChoices();
          answer.complete();
          passed.push(SSE_DONE);
          yield joined(passed);
          return;
        }
        const bytes = passedOn(upstream, block, progress, names, hidesUsage);
        if (bytes !== null) passed.push(bytes);
        // A comment is a sign of life, but no beginning of an answer.
        hasBegun ||= bytes !== null;
        if (hasBegun) answer.progress();
      }
    } catch (thrown) {
      failure = thrown;
    }
    if (passed.length > 0) yield joined(passed);
    if (failure !== undefined) throw failure;
  }
  const last = blocks.end();
  const isDone = last?.data?.trim() === DONE;
  const bytes = last === null || isDone ? null : passedOn(upstream, last, progress, names, hidesUsage);
  if (bytes !== null) yield bytes;
  // Some servers leave out [DONE], or the blank line behind it.
  if (!isDone && !progress.isFinished) {
    throw upstream.failed('ended its stream in the middle of the answer; look at its log');
  }
  progress.checkChoices();
  yield SSE_DONE;
}

/**
 * @returns null for what is no event for the client: comments, data without content, which some fail to parse, hidden usage,
 *   and what is no part of an answer (`event: ping`), which most read as a chunk without choices
 */
function passedOn(
  upstream: Upstream,
  block: EventBlock,
  progress: AnswerProgress,
  names: Names,
  hidesUsage: boolean,
): Uint8Array | null {
  const { data, bytes } = block;
  if (data === null || data.trim() === '') return null;
  // Written out, it is what an event without a name is.
  const name = block.name === 'message' ? null : block.name;
  const value = parseJson(data);
  if (!isObject(value)) {
    if (name === 'error') throw new ErrorEvent(saidIn(upstream.redact(data)));
    if (name !== null) return null;
    throw upstream.failed('sent an event that is not a JSON object; look at its log');
  }
  const hasChoices = Array.isArray(value.choices);
  if (!hasChoices || 'error' in value || name === 'error') {
    const error = readError(parseJson(upstream.redact(data)));
    if (error !== null) throw new ErrorEvent(error);
    if (name === 'error') throw new ErrorEvent(saidIn(''));
  }
  if (!hasChoices && (name !== null || !isObject(value.usage))) return null;
  progress.take(value);
  if (hidesUsage && isObject(value.usage) && hasChoices && (value.choices as unknown[]).length === 0)
    return null;
  const mapped = upstream.redact(names.theirs === names.ours ? data : renameModel(data, names.ours));
  // To clients in JavaScript `{}` is an error, though the backend means none.
  const mended = value.error ? withMembers(mapped, { error: 'null' }) : mapped;
  if (mended !== data || !block.isPlain) return sseText(mended, name);
  return bytes;
}

/** An event that is an error by its name, in whatever words. */
const saidIn = (text: string): TheirError => ({ message: text.trim(), type: null, param: null, code: null });

/**
 * The rest of a stream whose first event has come: from now on, what goes wrong is an event.
 *
 * @param events where `first` came from
 */
export async function* toldToTheEnd(
  upstream: Upstream,
  first: Uint8Array,
  events: AsyncGenerator<Uint8Array>,
  progress: AnswerProgress,
  names: Names,
): AsyncGenerator<Uint8Array> {
  let outcome: 'error' | 'aborted' | undefined = 'aborted';
  try {
    for (let event = first; ; ) {
      // The client may stop reading at the last event, without asking for the end.
      if (progress.isFinished) outcome = undefined;
      yield event;
      const next = await events.next();
      if (next.done) break;
      event = next.value;
    }
    outcome = undefined;
  } catch (thrown) {
    const error = ShoalError.from(thrown, 'BACKEND_FAILED');
    outcome = error.code === 'ABORTED' ? 'aborted' : 'error';
    yield thrown instanceof ErrorEvent
      ? sseData({ error: { ...thrown.theirs, message: bounded(upstream, thrown.message, names) } })
      : sseData(openAiErrorBody(error));
  } finally {
    await events.return(undefined);
    progress.report(outcome);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
