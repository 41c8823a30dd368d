/** Ollama's durations are sums that are true, in whole answers too; clients make tokens a second of them. */
import { describe, expect, it } from 'vitest';
import { OllamaAnswer } from '../../../src/server/api/ollama/answer.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const NS = 1e6;
const usage = { prompt_tokens: 5, completion_tokens: 11 };
const message = { role: 'assistant', content: 'Hi' };

interface Durations {
  total_duration: number;
  load_duration: number;
  prompt_eval_duration?: number;
  eval_duration: number;
}

/** A whole answer that came after a second. */
async function whole(more: object): Promise<Durations> {
  const clock = new ManualClock();
  const answer = new OllamaAnswer('chat', 'm', clock);
  await clock.advance(1_000);
  return answer.whole(
    JSON.stringify({ choices: [{ message, finish_reason: 'stop' }], usage, ...more }),
  ) as Durations;
}

describe('of a whole answer', () => {
  it('are the sum where the backend tells no more: 11 tokens took no 37 µs', async () => {
    const durations = await whole({});
    expect(durations).toMatchObject({
      total_duration: 1_000 * NS,
      load_duration: 0,
      eval_duration: 1_000 * NS,
    });
    expect(durations).not.toHaveProperty('prompt_eval_duration');
  });

  it.each([
    ['the mesh', { shoal: { time_to_first_token_ms: 200, tokens_per_second: 13.7 } }, [0, 200, 800]],
    ['an Ollama', { shoal: { load_ms: 100, prompt_ms: 50.5, eval_ms: 300 } }, [100, 50.5, 300]],
    ['llama.cpp', { timings: { prompt_ms: 40, predicted_ms: 910 } }, [0, 40, 910]],
    ['one with another clock', { shoal: { load_ms: 700, prompt_ms: 600, eval_ms: 900 } }, [700, 300, 0]],
    ['one that tells nonsense', { shoal: { load_ms: -5 }, timings: 'fast' }, [0, undefined, 1_000]],
  ])('are what %s tells', async (_, more, [load, prompt, evaluation]) => {
    const durations = await whole(more);
    expect(durations).toMatchObject({ total_duration: 1_000 * NS, load_duration: load! * NS });
    expect(durations.prompt_eval_duration).toBe(prompt === undefined ? undefined : prompt * NS);
    expect(durations.eval_duration).toBe(evaluation! * NS);
    const sum = durations.load_duration + (durations.prompt_eval_duration ?? 0) + durations.eval_duration;
    expect(sum).toBeLessThanOrEqual(durations.total_duration);
  });
});

it('of a stream: to the first token, and from it', async () => {
  const clock = new ManualClock();
  const encoder = new TextEncoder();
  async function* body() {
    await clock.advance(300);
    yield encoder.encode(`data: ${JSON.stringify({ choices: [{ delta: { content: 'H' } }] })}\n\n`);
    await clock.advance(700);
    yield encoder.encode(`data: ${JSON.stringify({ choices: [], usage })}\n\ndata: [DONE]\n\n`);
  }
  const lines: object[] = [];
  for await (const line of new OllamaAnswer('chat', 'm', clock).lines(body())) lines.push(line);
  expect(lines.at(-1)).toMatchObject({
    done: true,
    total_duration: 1_000 * NS,
    prompt_eval_duration: 300 * NS,
    eval_duration: 700 * NS,
    eval_count: 11,
  });
});
