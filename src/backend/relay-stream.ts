/** An upstream's event stream on its way to the client. */
import { createParser } from 'eventsource-parser';
import { ShoalError } from '../config/errors.ts';
import { MAX_UPSTREAM_EVENT_BYTES } from '../config/limits.ts';
import { openAiErrorBody } from './openai-error.ts';
import { SSE_DONE, sseData, sseText } from './sse.ts';
import type { Upstream, UpstreamAnswer } from './upstream.ts';

const DONE = '[DONE]';

/**
 * Event for event, with the data of each through `rewrite`. A stream that breaks off, stalls or ends without saying so
 * gets an error event, so that no client takes half an answer for a whole one.
 */
export async function* relayEvents(
  upstream: Upstream,
  answer: UpstreamAnswer,
  rewrite: (data: string) => string,
): AsyncGenerator<Uint8Array> {
  const waiting: string[] = [];
  let tooLarge = false;
  const parser = createParser({
    onEvent: ({ data }) => waiting.push(data),
    onError: ({ type }) => {
      tooLarge ||= type === 'max-buffer-size-exceeded';
    },
    maxBufferSize: MAX_UPSTREAM_EVENT_BYTES,
  });
  const decoder = new TextDecoder();
  let finished = false;
  try {
    for await (const chunk of answer.chunks()) {
      parser.feed(decoder.decode(chunk, { stream: true }));
      for (const data of waiting.splice(0)) {
        if (data === DONE) {
          yield SSE_DONE;
          return;
        }
        yield sseText(rewrite(upstream.redact(data)));
        if (isError(data)) return;
        finished ||= saysFinished(data);
      }
      if (tooLarge) throw upstream.failed(`sent an event of more than ${MAX_UPSTREAM_EVENT_BYTES} bytes`);
    }
    // Some servers leave out [DONE], or the blank line behind it.
    if (!finished) throw upstream.failed('ended its stream in the middle of the answer; look at its log');
    yield SSE_DONE;
  } catch (thrown) {
    yield sseData(openAiErrorBody(ShoalError.from(thrown, 'BACKEND_FAILED')));
  }
}

const isError = (data: string) => /^\s*\{\s*"error"\s*:\s*\{/.test(data);
/** Quotes within the generated text are escaped, so they cannot look like this. */
const saysFinished = (data: string) => /"finish_reason"\s*:\s*"/.test(data);
