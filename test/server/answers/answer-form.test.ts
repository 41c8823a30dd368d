import { describe, expect, it } from 'vitest';
import { ShoalError } from '../../../src/config/errors.ts';
import { MAX_UPSTREAM_EVENT_BYTES } from '../../../src/config/limits.ts';
import {
  type AnswerForm,
  eventCutter,
  formOf,
  withEventId,
} from '../../../src/server/answers/answer-form.ts';
import { newAnswerId, readEventId, writeEventId } from '../../../src/server/answers/event-id.ts';
import { digestOf, readIdempotencyKey } from '../../../src/server/answers/idempotency-key.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** All cuts of `text` in two give the same events. */
function cutsOf(form: AnswerForm, text: string): string[] {
  const bytes = utf8(text);
  const all = Array.from({ length: bytes.length }, (_, at) => {
    const cutter = eventCutter(form);
    const events = [...cutter.push(bytes.slice(0, at)), ...cutter.push(bytes.slice(at)), ...cutter.end()];
    return events.map(textOf);
  });
  for (const events of all) expect(events).toEqual(all[0]);
  return all[0]!;
}

describe('the form of an answer', () => {
  it('is told by its content type', () => {
    expect(formOf('text/event-stream; charset=utf-8')).toBe('events');
    expect(formOf('application/x-ndjson')).toBe('lines');
    expect(formOf('application/json')).toBe('whole');
    expect(formOf(null)).toBe('whole');
  });

  it('as events: blocks as they came, without comments', () => {
    const stream = ': waiting\n\ndata: 1\n\nevent: x\ndata: 2\ndata: 3\n\n: waiting\n\ndata: é\n\n';
    expect(cutsOf('events', stream)).toEqual([
      'data: 1\n\n',
      'event: x\ndata: 2\ndata: 3\n\n',
      'data: é\n\n',
    ]);
    expect(cutsOf('events', 'data: 1\n\ndata: 2')).toEqual(['data: 1\n\n', 'data: 2\n\n']);
    expect(cutsOf('events', '')).toBeUndefined();
  });

  it('as lines: each with its end, the last without where it came so', () => {
    expect(cutsOf('lines', '{"a":1}\n{"b":"é"}\n')).toEqual(['{"a":1}\n', '{"b":"é"}\n']);
    expect(cutsOf('lines', '{"a":1}\n{}')).toEqual(['{"a":1}\n', '{}']);
    const endless = new Uint8Array(MAX_UPSTREAM_EVENT_BYTES + 1);
    expect(() => eventCutter('lines').push(endless)).toThrow(ShoalError);
  });

  it('as an event with an id, which is the last and so counts', () => {
    const withId = (block: string) => textOf(withEventId(utf8(block), 'A.1'));
    expect(withId('data: 1\n\n')).toBe('data: 1\nid: A.1\n\n');
    expect(withId('id: theirs\r\ndata: 1\r\n\r\n')).toBe('id: theirs\r\ndata: 1\r\nid: A.1\n\n');
    expect(withId('data: 1\r\r')).toBe('data: 1\rid: A.1\n\n');
  });
});

describe('ids', () => {
  it('are read as they were written, and nothing else is', () => {
    const id = { answer: newAnswerId(), event: 17, digest: '0123abcd' };
    expect(readEventId(writeEventId(id))).toEqual(id);
    // Of a client that counts events itself.
    expect(readEventId(`${id.answer}.17`)).toEqual({ ...id, digest: null });
    for (const bad of [
      '',
      '1',
      `${id.answer}`,
      `${id.answer}.`,
      `${id.answer}.01`,
      `${id.answer}.1 `,
      `${id.answer}.1.`,
      `${id.answer}.1.0123ABCD`,
      `x${id.answer}.1`,
    ]) {
      expect(readEventId(bad)).toBeNull();
    }
  });

  it('of requests have a length and printable characters, quotes or none', () => {
    expect(readIdempotencyKey(undefined)).toBeNull();
    expect(readIdempotencyKey('a')).toBe('a');
    expect(readIdempotencyKey('"a b"')).toBe('a b');
    for (const bad of ['', '""', ' a', 'é', 'a\u0000', 'k'.repeat(256)]) {
      expect(() => readIdempotencyKey(bad)).toThrow('Idempotency-Key');
    }
  });

  it('of slots keep their parts apart', () => {
    expect(digestOf('ab', 'c')).not.toBe(digestOf('a', 'bc'));
    expect(digestOf('a')).not.toBe(digestOf('a', ''));
  });
});
