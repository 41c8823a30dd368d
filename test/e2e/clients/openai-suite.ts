import OpenAI from 'openai';
import { beforeAll, expect, it } from 'vitest';
import { QUESTION, STORY, type Target } from './target.ts';

/** The official `openai` client. */
export function openAiSuite(target: () => Target): void {
  let client: OpenAI;
  let model: string;
  beforeAll(() => {
    client = new OpenAI({ baseURL: `${target().url}/v1`, apiKey: 'unused', maxRetries: 0, timeout: 60_000 });
    model = target().model;
  });

  const ask = (content: string) => ({ model, messages: [{ role: 'user' as const, content }] });
  const greedy = () => ({ ...ask(QUESTION), temperature: 0, max_tokens: 40 });

  it('lists the model and shows it', async () => {
    const { data } = await client.models.list();
    expect(data.map(({ id }) => id)).toContain(model);
    expect(await client.models.retrieve(model)).toMatchObject({ id: model, object: 'model' });
  });

  it('gets a whole answer with usage, and the same one streamed', async () => {
    const whole = await client.chat.completions.create(greedy());
    const { content } = whole.choices[0]!.message;
    expect(content).toMatch(/\w/);
    expect(whole.model).toBe(model);
    const usage = whole.usage!;
    expect(usage.total_tokens).toBe(usage.prompt_tokens + usage.completion_tokens);

    const stream = await client.chat.completions.create({
      ...greedy(),
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let pieces = 0;
    let finish: string | null = null;
    let streamedUsage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      expect(chunk.model).toBe(model);
      const piece = chunk.choices[0]?.delta.content ?? '';
      text += piece;
      if (piece !== '') pieces++;
      finish = chunk.choices[0]?.finish_reason ?? finish;
      streamedUsage = chunk.usage ?? streamedUsage;
    }
    expect(text).toBe(content);
    expect(pieces).toBeGreaterThan(2);
    expect(finish).toBe(whole.choices[0]!.finish_reason);
    expect(streamedUsage).toMatchObject({
      prompt_tokens: usage.prompt_tokens,
      completion_tokens: usage.completion_tokens,
    });
  });

  it('is stopped by max_tokens, by max_completion_tokens and by a stop string', async () => {
    for (const bound of ['max_tokens', 'max_completion_tokens']) {
      const { choices, usage } = await client.chat.completions.create({
        ...ask(QUESTION),
        temperature: 0,
        [bound]: 2,
      });
      expect(choices[0]?.finish_reason).toBe('length');
      expect(usage?.completion_tokens).toBe(2);
    }
    const whole = (await client.chat.completions.create(greedy())).choices[0]!.message.content!;
    const stop = whole.split(' ')[2]!;
    const stopped = await client.chat.completions.create({ ...greedy(), stop });
    expect(stopped.choices[0]?.message.content).toBe(whole.slice(0, whole.indexOf(stop)));
    expect(stopped.choices[0]?.finish_reason).toBe('stop');
  });

  it('gets the same text for the same seed, and another for another', async () => {
    const texts: string[] = [];
    for (const seed of [1, 1, 2, 3, 4]) {
      const answer = await client.chat.completions.create({
        ...ask(STORY),
        temperature: 1.5,
        max_tokens: 24,
        seed,
      });
      texts.push(answer.choices[0]!.message.content!);
    }
    expect(texts[0]).toBe(texts[1]);
    expect(new Set(texts).size).toBeGreaterThan(1);
  });

  it('gets n answers, whole and streamed', async () => {
    const request = { ...ask(STORY), n: 2, temperature: 1, seed: 5, max_tokens: 12 };
    const { choices } = await client.chat.completions.create(request);
    expect(choices.map(({ index }) => index).sort()).toEqual([0, 1]);
    const texts = ['', ''];
    for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
      for (const { index, delta } of chunk.choices) texts[index] += delta.content ?? '';
    }
    for (const { index, message } of choices) expect(texts[index]).toBe(message.content);
  });

  it('gets log probabilities that fit the text', async () => {
    const { choices } = await client.chat.completions.create({
      ...greedy(),
      logprobs: true,
      top_logprobs: 2,
    });
    const [choice] = choices;
    const tokens = choice!.logprobs!.content!;
    const bytes = tokens.flatMap(({ token, bytes: own }) => own ?? [...Buffer.from(token)]);
    expect(Buffer.from(bytes).toString()).toContain(choice!.message.content!);
    for (const { token, logprob, top_logprobs } of tokens) {
      expect(logprob).toBeLessThanOrEqual(1e-6);
      expect(top_logprobs).toHaveLength(2);
      // Greedy: the token is the likeliest.
      expect(top_logprobs[0]).toMatchObject({ token, logprob });
      expect(top_logprobs[1]!.logprob).toBeLessThanOrEqual(logprob);
    }
  });

  it('completes raw text', async () => {
    const answer = await client.completions.create({
      model,
      prompt: 'Once upon a time',
      temperature: 0,
      max_tokens: 6,
    });
    expect(answer.choices[0]!.text).toMatch(/\w/);
    expect(answer.usage!.completion_tokens).toBeLessThanOrEqual(6);
  });

  it('frees the backend when it hangs up', async () => {
    const stream = await client.chat.completions.create({
      ...ask(STORY),
      stream: true,
      temperature: 1,
      max_tokens: 200,
    });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    stream.controller.abort();
    if ((await target().busy()) !== null) {
      await expect.poll(() => target().busy(), { timeout: 20_000 }).toBe(0);
    }
    const answer = await client.chat.completions.create(greedy());
    expect(answer.choices[0]!.message.content).toMatch(/\w/);
  });

  it('is told what is wrong by the right exception', async () => {
    if (!target().lacks?.modelNames) {
      await expect(client.chat.completions.create({ ...greedy(), model: 'gpt-9' })).rejects.toBeInstanceOf(
        OpenAI.NotFoundError,
      );
    }
    await expect(client.models.retrieve('gpt-9')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    if (!target().lacks?.temperatureBound) {
      const hot = client.chat.completions.create({ ...greedy(), temperature: 9 });
      await expect(hot).rejects.toBeInstanceOf(OpenAI.BadRequestError);
      await expect(hot).rejects.toMatchObject({ message: expect.stringContaining('temperature') });
    }
    const long = client.chat.completions.create({
      ...greedy(),
      messages: ask('word '.repeat(9_000)).messages,
    });
    await expect(long).rejects.toBeInstanceOf(OpenAI.BadRequestError);
    const answer = await client.chat.completions.create(greedy());
    expect(answer.choices[0]!.message.content).toMatch(/\w/);
  });
}
