import { expect, it } from 'vitest';
import { PROVIDE_WINDOW_BYTES } from '../../../src/config/limits.ts';
import { type AnswerHead, RemoteAnswer } from '../../../src/server/provide/remote-answer.ts';
import { ManualClock } from '../../support/manual-clock.ts';

function answerOf(contentType: string) {
  const answer = new RemoteAnswer({
    sender: 'the provider "box"',
    grant: () => {},
    onCancelled: () => {},
    clock: new ManualClock(),
  });
  const head: AnswerHead = { type: 'head', request: 1, status: 200, contentType };
  answer.begun(head);
  return answer;
}

const text = (bytes: Uint8Array | null) => (bytes === null ? null : new TextDecoder().decode(bytes));

async function rest(answer: RemoteAnswer): Promise<string[]> {
  const pieces: string[] = [];
  for (let piece = text(await answer.next()); piece !== null; piece = text(await answer.next()))
    pieces.push(piece);
  return pieces;
}

it('gives whole events, wherever the provider cut them', async () => {
  const events = ['data: one\n\n', ': waiting\n\n', '\n\n', 'data: two\ndata: lines\n\n'];
  const all = events.join('');
  const ends = events.map((_, index) => events.slice(0, index + 1).join('').length);
  for (let cut = 1; cut < all.length; cut++) {
    const answer = answerOf('text/event-stream; charset=utf-8');
    answer.text(all.slice(0, cut));
    const whole = Math.max(0, ...ends.filter((end) => end <= cut));
    const first = whole === 0 ? '' : text(await answer.next());
    // A blank line within `\n\n\n\n` is an end too.
    expect(all.slice(0, cut).startsWith(first ?? '')).toBe(true);
    expect(first === '' || first?.endsWith('\n\n')).toBe(true);
    expect(first?.length).toBeGreaterThanOrEqual(whole);
    answer.text(all.slice(cut));
    answer.ended(null);
    expect([first, ...(await rest(answer))].join('')).toBe(all);
  }
});

it('keeps what a client does not read in few pieces, however small they came', async () => {
  const answer = answerOf('text/event-stream');
  const event = ':\n\n';
  const count = Math.floor(PROVIDE_WINDOW_BYTES / event.length);
  for (let i = 0; i < count; i++) answer.text(event);
  answer.ended(null);
  const pieces = await rest(answer);
  expect(pieces.join('')).toBe(event.repeat(count));
  expect(pieces.length).toBeLessThan(20);
});

// When each chunk was joined to all before it, this took more than a minute.
it('takes an event that comes byte by byte in time that grows with its length alone', {
  timeout: 20_000,
}, () => {
  const answer = answerOf('text/event-stream');
  for (let i = 0; i < 400_000; i++) answer.text('x');
});

it('takes a whole answer byte by byte', async () => {
  const answer = answerOf('application/json');
  const whole = answer.whole();
  const sent = 'ä{}'.repeat(5_000);
  for (const [index, piece] of [...sent].entries()) {
    answer.text(piece);
    if (index % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  answer.ended(null);
  expect(text(await whole)).toBe(sent);
});
