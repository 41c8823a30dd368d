/** What a backend says of an OpenAI request, in the words of the client that asked in Ollama's. */
import type { Endpoint } from './answer.ts';

/** No words of prose: exchanged wherever they stand. */
const NAMES: Readonly<Record<string, string>> = {
  chat_template_kwargs: 'think',
  frequency_penalty: 'options.frequency_penalty',
  max_completion_tokens: 'options.num_predict',
  max_tokens: 'options.num_predict',
  min_p: 'options.min_p',
  presence_penalty: 'options.presence_penalty',
  reasoning_effort: 'think',
  repetition_penalty: 'options.repeat_penalty',
  response_format: 'format',
  top_k: 'options.top_k',
  top_p: 'options.top_p',
};

/** Words of prose, too: exchanged where the message begins with them, as ours do. */
const FIRST: Readonly<Record<string, string>> = {
  seed: 'options.seed',
  stop: 'options.stop',
  temperature: 'options.temperature',
};

const ANYWHERE = new RegExp(`(?<![\\w.])(${Object.keys(NAMES).join('|')})(?!\\w)`, 'g');
const AT_FIRST = new RegExp(`^(${Object.keys(FIRST).join('|')})(?=[.: ]|$)`);

export function inOllamasWords(message: string, endpoint: Endpoint): string {
  const named = message
    .replaceAll(ANYWHERE, (name) => NAMES[name]!)
    .replace(AT_FIRST, (name) => FIRST[name]!);
  return endpoint === 'generate'
    ? named.replace(/^messages(\.\d+)?(\.content)?(?=[.: ]|$)/, 'prompt')
    : named;
}
