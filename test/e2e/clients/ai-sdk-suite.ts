import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, type LanguageModel, streamText } from 'ai';
import { beforeAll, expect, it } from 'vitest';
import { QUESTION, STORY, type Target } from './target.ts';

/** The Vercel AI SDK with its provider for OpenAI-compatible servers. */
export function aiSdkSuite(target: () => Target): void {
  let named: (name: string) => LanguageModel;
  let model: LanguageModel;
  beforeAll(() => {
    const provider = createOpenAICompatible({
      name: 'shoal',
      baseURL: `${target().url}/v1`,
      includeUsage: true,
    });
    named = (name) => provider(name);
    model = named(target().model);
  });

  const once = { maxRetries: 0 };
  const greedy = { ...once, temperature: 0, maxOutputTokens: 40 };

  it('gets a whole answer with usage, and the same one streamed', async () => {
    const whole = await generateText({ model, prompt: QUESTION, ...greedy });
    expect(whole.text).toMatch(/\w/);
    expect(whole.usage.outputTokens).toBeGreaterThan(0);
    const stream = streamText({ model, prompt: QUESTION, ...greedy });
    let text = '';
    for await (const piece of stream.textStream) text += piece;
    expect(text).toBe(whole.text);
    expect((await stream.usage).outputTokens).toBe(whole.usage.outputTokens);
    expect(await stream.finishReason).toBe(whole.finishReason);
  });

  it('is stopped by a count and by a stop sequence', async () => {
    const short = await generateText({ model, prompt: QUESTION, ...greedy, maxOutputTokens: 2 });
    expect(short.finishReason).toBe('length');
    const { text } = await generateText({ model, prompt: QUESTION, ...greedy });
    const stop = text.split(' ')[2]!;
    const stopped = await generateText({ model, prompt: QUESTION, ...greedy, stopSequences: [stop] });
    expect(stopped.text).toBe(text.slice(0, text.indexOf(stop)));
    expect(stopped.finishReason).toBe('stop');
  });

  it('gets the same text for the same seed', async () => {
    const told = async (seed: number) =>
      (await generateText({ model, prompt: STORY, ...once, temperature: 1.5, maxOutputTokens: 24, seed }))
        .text;
    expect(await told(1)).toBe(await told(1));
    const texts = [await told(1), await told(2), await told(3), await told(4)];
    expect(new Set(texts).size).toBeGreaterThan(1);
  });

  it('frees the backend when it hangs up', async () => {
    const stop = new AbortController();
    const stream = streamText({
      model,
      prompt: STORY,
      ...once,
      temperature: 1,
      maxOutputTokens: 200,
      abortSignal: stop.signal,
      onError: () => {},
    });
    for await (const piece of stream.textStream) {
      if (piece === '') continue;
      stop.abort();
      break;
    }
    if ((await target().busy()) !== null) {
      await expect.poll(() => target().busy(), { timeout: 20_000 }).toBe(0);
    }
  });

  it('is told what is wrong, and whether trying again may help', async () => {
    if (!target().lacks?.modelNames) {
      const unknown = generateText({ model: named('gpt-9'), prompt: QUESTION, ...greedy });
      await expect(unknown).rejects.toSatisfy(
        (error) => APICallError.isInstance(error) && error.statusCode === 404 && !error.isRetryable,
      );
    }
    const long = generateText({ model, prompt: 'word '.repeat(9_000), ...greedy });
    await expect(long).rejects.toSatisfy(
      (error) => APICallError.isInstance(error) && error.statusCode === 400 && !error.isRetryable,
    );
  });
}
