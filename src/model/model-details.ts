import { z } from 'zod';

/** What a model can do, in Ollama's words. */
export const CAPABILITIES = [
  'completion',
  'tools',
  'insert',
  'vision',
  'thinking',
  'embedding',
  'audio',
] as const;

const count = z.number().int().positive().max(Number.MAX_SAFE_INTEGER);
/** Shown to people and used as a key: `qwen3`, `Q4_K_M`. */
const word = z.string().regex(/^[\w.+-]{1,64}$/);

/** What is known of a model beside its name. What is not known is left out; a wrong value is as good as none. */
export const modelDetailsSchema = z.object({
  /** Positions of prompt and answer together, as the model is served. */
  contextLength: optional(count),
  /** Those that it was made for, where only they are known or they are more. */
  trainedContextLength: optional(count),
  /** As GGUF names it: `llama`, `qwen3`. */
  architecture: optional(word),
  embeddingLength: optional(count),
  blockCount: optional(count),
  feedForwardLength: optional(count),
  headCount: optional(count),
  headCountKv: optional(count),
  vocabSize: optional(count),
  parameters: optional(count),
  /** How the weights are stored: `BF16`, `Q4_K_M`. */
  quantization: optional(word),
  /** `gguf`, `safetensors`. */
  format: optional(word),
  sizeBytes: optional(count),
  capabilities: optional(z.array(z.enum(CAPABILITIES)).max(CAPABILITIES.length)),
});

export type ModelDetails = z.infer<typeof modelDetailsSchema>;

function optional<T extends z.ZodType>(schema: T) {
  return schema.optional().catch(undefined);
}
