/** What becomes of the parameters that Ollama has nothing for. See ../openai-parameters.ts. */
import type { ParameterTable } from '../openai/parameters.ts';

type Refused = ParameterTable['refused'];

const isEmpty = (value: unknown) =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;
const is =
  (...neutral: readonly unknown[]) =>
  (value: unknown) =>
    neutral.includes(value);
const never = () => false;

const OLD_TOOLS = 'OpenAI replaced it; use tools and tool_choice';

const SHARED: Refused = {
  logit_bias: { neutral: isEmpty, reason: 'Ollama has no per-token bias' },
  ignore_eos: { neutral: is(false), reason: 'Ollama ends an answer where the model does' },
};

const CHAT: Refused = {
  ...SHARED,
  audio: { neutral: never, reason: 'Ollama answers in text' },
  modalities: {
    neutral: (value) => Array.isArray(value) && value.length === 1 && value[0] === 'text',
    reason: 'Ollama answers in text',
  },
  parallel_tool_calls: {
    neutral: is(true),
    reason: 'Ollama cannot hold a model to one call; take the first',
  },
  functions: { neutral: isEmpty, reason: OLD_TOOLS },
  function_call: { neutral: is('none', 'auto'), reason: OLD_TOOLS },
  prediction: { neutral: never, reason: 'Ollama does not use predicted outputs' },
  verbosity: {
    neutral: is('medium'),
    reason: 'Ollama has no such control; ask for a short answer in the prompt',
  },
  web_search_options: { neutral: never, reason: 'nothing is searched' },
  moderation: { neutral: never, reason: 'nothing is moderated' },
};

const COMPLETION: Refused = {
  ...SHARED,
  best_of: { neutral: is(1), reason: 'Ollama ranks no answers; use n and choose' },
  echo: { neutral: is(false), reason: 'the prompt is not repeated; put it before the text yourself' },
};

export const chatTable = (supported: readonly string[]): ParameterTable => ({ supported, refused: CHAT });
export const completionTable = (supported: readonly string[]): ParameterTable => ({
  supported,
  refused: COMPLETION,
});
