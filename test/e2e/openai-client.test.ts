import OpenAI from 'openai';
import type { Browser } from 'puppeteer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { MeshRun } from '../support/mesh-run.ts';

/** The official client against the gateway, with minnow on three real tabs behind it. */

const TOKYO = 'The capital of Japan is Tokyo.';
const question = [{ role: 'user' as const, content: 'What is the capital of Japan?' }];
const greedy = { model: 'minnow', messages: question, temperature: 0 };

let browser: Browser;
let run: MeshRun;
let client: OpenAI;

beforeAll(async () => {
  browser = await launchChromium();
  run = await MeshRun.start(browser, 3);
  client = new OpenAI({ baseURL: `${run.server.url}/v1`, apiKey: 'unused', maxRetries: 0 });
});
afterAll(async () => {
  await run?.close();
  await browser?.close();
});

const held = async (): Promise<number> => (await run.server.status()).requestsInFlight;

describe('the openai client', () => {
  it('lists the model', async () => {
    const { data } = await client.models.list();
    expect(data.map(({ id }) => id)).toEqual(['minnow']);
  });

  it('gets a whole answer with usage, and the same one streamed', async () => {
    const whole = await client.chat.completions.create(greedy);
    expect(whole.choices[0]?.message.content).toBe(TOKYO);
    expect(whole.choices[0]?.finish_reason).toBe('stop');
    const usage = whole.usage!;
    expect(usage.total_tokens).toBe(usage.prompt_tokens + usage.completion_tokens);

    const stream = await client.chat.completions.create({
      ...greedy,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let pieces = 0;
    let streamedUsage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      const piece = chunk.choices[0]?.delta.content ?? '';
      text += piece;
      if (piece !== '') pieces++;
      streamedUsage = chunk.usage ?? streamedUsage;
    }
    expect(text).toBe(TOKYO);
    expect(pieces).toBeGreaterThan(2);
    expect(streamedUsage).toEqual(usage);
  });

  it('is stopped by max_tokens and by a stop string', async () => {
    const short = await client.chat.completions.create({ ...greedy, max_tokens: 2 });
    expect(short.choices[0]?.finish_reason).toBe('length');
    expect(short.usage?.completion_tokens).toBe(2);
    expect(TOKYO.startsWith(short.choices[0]!.message.content!)).toBe(true);

    const stopped = await client.chat.completions.create({ ...greedy, stop: ' is' });
    expect(stopped.choices[0]?.message.content).toBe('The capital of Japan');
    expect(stopped.choices[0]?.finish_reason).toBe('stop');
  });

  it('gets the same text for the same seed, and another for another', async () => {
    const story = {
      model: 'minnow',
      messages: [{ role: 'user' as const, content: 'Tell me a story.' }],
      temperature: 1.5,
      max_tokens: 24,
    };
    const texts = [];
    for (const seed of [1, 1, 2]) {
      const answer = await client.chat.completions.create({ ...story, seed });
      texts.push(answer.choices[0]?.message.content);
    }
    expect(texts[0]).toBe(texts[1]);
    expect(texts[2]).not.toBe(texts[0]);
  });

  it('completes raw text, an empty one from the BOS token alone', async () => {
    const answer = await client.completions.create({
      model: 'minnow',
      prompt: '',
      temperature: 0,
      max_tokens: 4,
    });
    expect(answer.usage?.prompt_tokens).toBe(1);
    expect(answer.usage!.completion_tokens).toBeGreaterThan(0);
  });

  it('frees everything when it hangs up', async () => {
    const stream = await client.chat.completions.create({
      model: 'minnow',
      messages: question,
      stream: true,
      // vLLM's name; the client passes it on as it is.
      ...{ ignore_eos: true, max_tokens: 400 },
    });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    stream.controller.abort();
    await expect.poll(held, { timeout: 30_000 }).toBe(0);
    const answer = await client.chat.completions.create(greedy);
    expect(answer.choices[0]?.message.content).toBe(TOKYO);
  });

  it('is told what is wrong, and nothing is lost', async () => {
    await expect(client.chat.completions.create({ ...greedy, model: 'gpt-9' })).rejects.toMatchObject({
      status: 404,
      param: 'model',
    });
    const long = [{ role: 'user' as const, content: 'word '.repeat(3_000) }];
    await expect(client.chat.completions.create({ ...greedy, messages: long })).rejects.toMatchObject({
      status: 400,
      message: expect.stringMatching(/tokens long.*takes \d+.*shorten/),
    });
    await expect(client.chat.completions.create({ ...greedy, n: 2 })).rejects.toMatchObject({
      status: 400,
      param: 'n',
    });
    await expect(client.chat.completions.create({ ...greedy, temperature: 9 })).rejects.toMatchObject({
      status: 400,
      param: 'temperature',
    });
    const answer = await client.chat.completions.create(greedy);
    expect(answer.choices[0]?.message.content).toBe(TOKYO);
    expect(run.complaints).toEqual([]);
  });
});
