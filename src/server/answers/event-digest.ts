/**
 * A digest of events, each with all before it: whether an answer that was made again says what was read of it. Cut short, as it is
 * against mistakes: who makes one up deceives himself alone.
 */
import { createHash } from 'node:crypto';

/** Of no events. */
export const FIRST_DIGEST = '00000000';

/** @param before of the events before `event`; as it, 8 hexadecimal digits */
export function nextDigest(before: string, event: Uint8Array): string {
  const text = Buffer.from(event.buffer, event.byteOffset, event.byteLength).toString();
  return createHash('sha256').update(before).update(saidBy(text)).digest('hex').slice(0, FIRST_DIGEST.length);
}

/**
 * What of an event is the answer's. What it says of times, workers and restarts is another each time that it is made, and so may be the
 * last digits of its log probabilities.
 */
function saidBy(event: string): string {
  const data = event.startsWith('data:') ? event.slice('data:'.length) : event;
  try {
    const { choices } = JSON.parse(data);
    return JSON.stringify(choices, (name, value) => (name === 'logprobs' ? undefined : value)) ?? data;
  } catch {
    return data;
  }
}
