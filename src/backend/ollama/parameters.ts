/** What becomes of the parameters that Ollama has nothing for, or does otherwise. See ../openai/known-parameters.ts. */
import { z } from 'zod';
import type { Known } from '../openai/known-parameters.ts';
import {
  chatTable as chatParameters,
  completionTable as completionParameters,
} from '../openai/parameters.ts';

const none = z.union([z.literal(''), z.array(z.unknown()).max(0), z.strictObject({})]);

const OLD_TOOLS = 'OpenAI replaced it; use tools and tool_choice';
const IN_OPTIONS = 'send it in options';

const SHARED: Record<string, Known> = {
  best_of: { neutral: z.literal(1), reason: 'Ollama ranks no answers; use n and choose' },
  ignore_eos: { neutral: z.literal(false), reason: 'Ollama ends an answer where the model does' },
  logit_bias: { neutral: none, reason: 'Ollama has no per-token bias' },
  repeat_last_n: { neutral: z.never(), reason: IN_OPTIONS },
  typical_p: { neutral: z.literal(1), reason: IN_OPTIONS },
};

const CHAT: Record<string, Known> = {
  ...SHARED,
  audio: { neutral: z.never(), reason: 'Ollama answers in text' },
  format: { neutral: none, reason: 'send response_format' },
  function_call: { neutral: z.literal(['none', 'auto']), reason: OLD_TOOLS },
  functions: { neutral: none, reason: OLD_TOOLS },
  images: { neutral: none, reason: 'send image_url parts in a message' },
  modalities: { neutral: z.union([z.tuple([z.literal('text')]), none]), reason: 'Ollama answers in text' },
  parallel_tool_calls: {
    neutral: z.literal(true),
    reason: 'Ollama cannot hold a model to one call; take the first',
    moot: ({ tools, tool_choice: choice }) =>
      choice === 'none' || tools === undefined || none.safeParse(tools).success,
  },
  prediction: { neutral: z.never(), reason: 'Ollama does not use predicted outputs' },
  verbosity: {
    neutral: z.literal('medium'),
    reason: 'Ollama has no such control; ask for a short answer in the prompt',
  },
};

export const chatTable = (supported: readonly string[]) => chatParameters(supported, CHAT);
export const completionTable = (supported: readonly string[]) => completionParameters(supported, SHARED);

/** How the operator's machine runs the model. */
const LOADS_ANEW: Known = {
  neutral: z.never(),
  reason: 'it loads the model anew for everyone; set it in the model’s Modelfile on the Ollama server',
};

/** For the entries of `options`, which Ollama would only log and drop where it does not know them. */
export const optionsTable = (supported: readonly string[]) =>
  chatParameters(supported, {
    draft_num_predict: LOADS_ANEW,
    main_gpu: LOADS_ANEW,
    num_batch: LOADS_ANEW,
    num_gpu: LOADS_ANEW,
    num_thread: LOADS_ANEW,
    use_mmap: LOADS_ANEW,
  });
