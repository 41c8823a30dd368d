/** Prompts become ids in threads: the server's own never tokenizes and never renders a template. Node only. */
import { ShoalError } from '../../config/errors.ts';
import { startThread, threadEntry } from '../../config/installation.ts';
import { MAX_SMALL_PROMPT_CHARS, PROMPT_JOB_MS, PROMPT_THREADS } from '../../config/limits.ts';
import { type JobContext, ThreadPool } from '../threads/thread-pool.ts';
import { checkChars, checkTextBytes } from './prompt-length.ts';
import type { PromptFacts, PromptJob, PromptThreadData } from './prompt-thread.ts';
import type { Prompts } from './served-model.ts';

export interface OpenedPrompts {
  readonly prompts: Prompts;
  readonly facts: PromptFacts;
}

/** @throws TOKENIZER_INVALID, MODEL_CONFIG_INVALID */
export async function openThreadedPrompts(model: PromptThreadData): Promise<OpenedPrompts> {
  const pool = new ThreadPool<PromptJob, PromptFacts, Uint32Array>({
    start: () => startThread(threadEntry('prompts'), model),
    threads: PROMPT_THREADS,
    limitMs: PROMPT_JOB_MS,
    tooCostly,
  });
  const facts = await pool.open().catch(async (error: unknown) => {
    await pool.close();
    throw error;
  });
  const run = async (job: PromptJob, chars: number, { client, signal }: JobContext): Promise<number[]> => {
    const isLarge = chars > MAX_SMALL_PROMPT_CHARS;
    return [...(await pool.run(job, { ...(client !== undefined && { client }), signal, isLarge }))];
  };
  return {
    facts,
    prompts: {
      async chat({ messages, chat_template_kwargs }, context) {
        const texts = [
          ...messages.map(({ content }) => content),
          ...Object.values(chat_template_kwargs ?? {}),
        ];
        const chars = texts.reduce<number>(
          (sum, text) => sum + (typeof text === 'string' ? text.length : 0),
          0,
        );
        checkChars(chars, 'messages');
        const conversation = { messages, ...(chat_template_kwargs && { chat_template_kwargs }) };
        return run({ kind: 'chat', conversation }, chars, context);
      },
      async completion(prompt, context) {
        checkChars(prompt.length, 'prompt');
        // Here already, where it costs nothing; of a chat only the template knows what the model sees.
        checkTextBytes(model, facts.mostBytesPerToken, Buffer.byteLength(prompt), 'prompt');
        return run({ kind: 'completion', prompt }, prompt.length, context);
      },
      close: () => pool.close(),
    },
  };
}

function tooCostly(): ShoalError {
  return new ShoalError(
    'PROMPT_TOO_COSTLY',
    `the prompt was not read within ${PROMPT_JOB_MS / 1_000} s, chat template and tokens together; send less, or text with shorter words`,
  );
}
