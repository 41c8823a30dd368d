/** How the body of an answer falls into events: those of an event stream, lines of JSON, or bytes as they come. */
import { EventBlocks } from '../../backend/proxy/event-blocks.ts';
import { ShoalError } from '../../config/errors.ts';
import { MAX_UPSTREAM_EVENT_BYTES } from '../../config/limits.ts';

/** `whole` has no events that a client could name. */
export type AnswerForm = 'events' | 'lines' | 'whole';

export function formOf(contentType: string | null): AnswerForm {
  const [type = ''] = (contentType ?? '').split(';');
  if (type.trim() === 'text/event-stream') return 'events';
  return type.trim() === 'application/x-ndjson' ? 'lines' : 'whole';
}

export interface EventCutter {
  /** @returns the events that `chunk` completes, as they came; comments of an event stream are none */
  push(chunk: Uint8Array): Uint8Array[];
  /** What is left at the end. */
  end(): Uint8Array[];
}

/** Its `push` throws BACKEND_FAILED for an event beyond MAX_UPSTREAM_EVENT_BYTES. */
export function eventCutter(form: AnswerForm): EventCutter {
  if (form === 'whole') return { push: (chunk) => [chunk], end: () => [] };
  return form === 'lines' ? new LineCutter() : new BlockCutter();
}

class BlockCutter implements EventCutter {
  readonly #blocks = new EventBlocks();

  push(chunk: Uint8Array): Uint8Array[] {
    return this.#blocks.push(chunk).flatMap(({ data, bytes }) => (data === null ? [] : [bytes]));
  }

  end(): Uint8Array[] {
    const last = this.#blocks.end();
    if (last === null || last.data === null) return [];
    // Behind it an id has to find the line's end.
    return [Buffer.concat([last.bytes, LINE_END, LINE_END])];
  }
}

const LF = 10;
const CR = 13;
const LINE_END = Uint8Array.of(LF);
const NOTHING = new Uint8Array();

class LineCutter implements EventCutter {
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  push(chunk: Uint8Array): Uint8Array[] {
    const lines: Uint8Array[] = [];
    let rest = chunk;
    for (let at = rest.indexOf(LF); at !== -1; at = rest.indexOf(LF)) {
      lines.push(this.#take(rest.subarray(0, at + 1)));
      rest = rest.subarray(at + 1);
    }
    this.#held.push(rest);
    this.#heldBytes += rest.byteLength;
    if (this.#heldBytes <= MAX_UPSTREAM_EVENT_BYTES) return lines;
    throw new ShoalError(
      'BACKEND_FAILED',
      `the answer has a line of more than ${MAX_UPSTREAM_EVENT_BYTES} bytes; ask for fewer log probabilities`,
    );
  }

  end(): Uint8Array[] {
    return this.#heldBytes === 0 ? [] : [this.#take(NOTHING)];
  }

  #take(tail: Uint8Array): Uint8Array {
    const line = this.#heldBytes === 0 ? tail : Buffer.concat([...this.#held, tail]);
    this.#held = [];
    this.#heldBytes = 0;
    return line;
  }
}

/**
 * A block of an event stream with an id, which is its last line: one that a backend wrote counts for nothing.
 *
 * @param block with the blank line behind it
 */
export function withEventId(block: Uint8Array, id: string): Uint8Array {
  const isCrLf = block.at(-1) === LF && block.at(-2) === CR;
  return Buffer.concat([block.subarray(0, isCrLf ? -2 : -1), Buffer.from(`id: ${id}\n\n`)]);
}
