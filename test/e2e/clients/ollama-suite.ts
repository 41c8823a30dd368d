import { Ollama } from 'ollama';
import { beforeAll, expect, it } from 'vitest';
import { QUESTION, STORY, type Target } from './target.ts';

/** The official `ollama` client, which the gateway answers in Ollama's own API. */
export function ollamaSuite(target: () => Target): void {
  let client: Ollama;
  let model: string;
  beforeAll(() => {
    client = new Ollama({ host: target().url });
    model = target().model;
  });

  const ask = (content: string) => ({ model, messages: [{ role: 'user', content }] });
  const greedy = { temperature: 0, num_predict: 40 };

  it('lists the model', async () => {
    expect((await client.list()).models.map(({ name }) => name)).toContain(model);
  });

  it('gets a whole answer with counts and durations, and the same one streamed', async () => {
    const whole = await client.chat({ ...ask(QUESTION), options: greedy, stream: false });
    expect(whole.message.content).toMatch(/\w/);
    expect(whole).toMatchObject({ done: true, model });
    expect(whole.eval_count).toBeGreaterThan(0);
    expect(whole.total_duration).toBeGreaterThan(0);
    let text = '';
    let last: unknown;
    for await (const line of await client.chat({ ...ask(QUESTION), options: greedy, stream: true })) {
      text += line.message.content;
      last = line;
    }
    expect(text).toBe(whole.message.content);
    expect(last).toMatchObject({
      done: true,
      done_reason: whole.done_reason,
      prompt_eval_count: whole.prompt_eval_count,
      eval_count: whole.eval_count,
    });
  });

  it('generates from a prompt, stopped by a count and by a stop string', async () => {
    const short = await client.generate({
      model,
      prompt: QUESTION,
      options: { ...greedy, num_predict: 2 },
      stream: false,
    });
    expect(short).toMatchObject({ done_reason: 'length', eval_count: 2 });
    const { response: whole = '' } = await client.generate({
      model,
      prompt: QUESTION,
      options: greedy,
      stream: false,
    });
    const stop = whole.split(' ')[2]!;
    const stopped = await client.generate({
      model,
      prompt: QUESTION,
      options: { ...greedy, stop: [stop] },
      stream: false,
    });
    expect(stopped.response).toBe(whole.slice(0, whole.indexOf(stop)));
    expect(stopped.done_reason).toBe('stop');
  });

  it('gets the same text for the same seed', async () => {
    const texts: string[] = [];
    for (const seed of [1, 1, 2, 3, 4]) {
      const options = { temperature: 1.5, num_predict: 24, seed };
      texts.push((await client.chat({ ...ask(STORY), options, stream: false })).message.content);
    }
    expect(texts[0]).toBe(texts[1]);
    expect(new Set(texts).size).toBeGreaterThan(1);
  });

  it('gets log probabilities that fit the text', async () => {
    const answer = await client.chat({
      ...ask(QUESTION),
      options: greedy,
      stream: false,
      logprobs: true,
      top_logprobs: 2,
    });
    const tokens = answer.logprobs!;
    const bytes = tokens.flatMap(({ token }) => [...Buffer.from(token)]);
    expect(Buffer.from(bytes).toString()).toContain(answer.message.content);
    for (const { logprob, top_logprobs } of tokens) {
      expect(logprob).toBeLessThanOrEqual(1e-6);
      expect(top_logprobs).toHaveLength(2);
    }
  });

  it('frees the backend when it hangs up', async () => {
    const stream = await client.chat({
      ...ask(STORY),
      options: { temperature: 1, num_predict: 200 },
      stream: true,
    });
    for await (const line of stream) if (line.message.content) break;
    stream.abort();
    if ((await target().busy()) !== null) {
      await expect.poll(() => target().busy(), { timeout: 20_000 }).toBe(0);
    }
  });

  it('is told what is wrong', async () => {
    if (!target().lacks?.modelNames) {
      await expect(client.chat({ ...ask(QUESTION), model: 'gpt-9' })).rejects.toMatchObject({
        status_code: 404,
      });
    }
    if (!target().lacks?.temperatureBound) {
      const hot = client.chat({ ...ask(QUESTION), options: { temperature: 9 } });
      await expect(hot).rejects.toMatchObject({
        status_code: 400,
        message: expect.stringContaining('temperature'),
      });
    }
    await expect(client.chat({ ...ask(QUESTION), options: { mirostat: 1 } as object })).rejects.toMatchObject(
      { status_code: 400, message: expect.stringContaining('mirostat') },
    );
  });
}
