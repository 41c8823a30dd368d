/**
 * What becomes of each request parameter that this engine does not act on. Nothing is dropped in silence unless dropping
 * it cannot change the answer.
 */
import { z } from 'zod';
import { ShoalError } from '../../config/errors.ts';
import { didYouMean } from '../../config/nearest.ts';

/** Bookkeeping for OpenAI's own service (billing, caching, abuse reports): no effect on the text, so accepted unread. */
const HARMLESS = new Set([
  'metadata',
  'prompt_cache_key',
  'prompt_cache_options',
  'prompt_cache_retention',
  'safety_identifier',
  'service_tier',
  'store',
  'user',
]);

interface Refusal {
  /** Values that ask for nothing; clients that fill in defaults send them. */
  readonly neutral: (value: unknown) => boolean;
  readonly reason: string;
}

/** A refusal that can be published: `neutral` is the schema of the values that ask for nothing. */
interface PublishedRefusal extends Refusal {
  readonly schema: z.ZodType;
}

const refusal = (schema: z.ZodType, reason: string): PublishedRefusal => ({
  schema,
  neutral: (value) => schema.safeParse(value).success,
  reason,
});

const NO_TOOLS = 'tool calls are not offered; describe the tool in the prompt and parse the text';
const TEXT_ONLY = 'only text goes in and out';

const never = z.never();
const nothing = z.union([z.array(z.unknown()).max(0), z.strictObject({})]);

const CHAT: Record<string, PublishedRefusal> = {
  audio: refusal(never, TEXT_ONLY),
  modalities: refusal(z.tuple([z.literal('text')]), TEXT_ONLY),
  tools: refusal(nothing, NO_TOOLS),
  tool_choice: refusal(z.enum(['none', 'auto']), NO_TOOLS),
  parallel_tool_calls: refusal(z.boolean(), NO_TOOLS),
  functions: refusal(nothing, NO_TOOLS),
  function_call: refusal(z.enum(['none', 'auto']), NO_TOOLS),
  response_format: refusal(
    z.object({ type: z.literal('text') }),
    'the sampler is not constrained by a grammar; ask for JSON in the prompt and check it',
  ),
  prediction: refusal(never, 'predicted outputs are not used'),
  reasoning_effort: refusal(z.literal('none'), 'the model has no reasoning mode'),
  verbosity: refusal(
    z.literal('medium'),
    'the model has no verbosity control; ask for a short answer in the prompt',
  ),
  web_search_options: refusal(never, 'nothing is searched'),
  moderation: refusal(never, 'nothing is moderated'),
};

const COMPLETION: Record<string, PublishedRefusal> = {
  best_of: refusal(z.literal(1), 'every answer that is generated is sent; ask for them with n'),
  echo: refusal(z.literal(false), 'the prompt is not repeated; put it before the text yourself'),
  suffix: refusal(z.literal(''), 'text is generated after the prompt only'),
};

export interface ParameterTable {
  readonly supported: readonly string[];
  readonly refused: Readonly<Record<string, Refusal>>;
}

export const chatTable = (supported: readonly string[]): ParameterTable => ({ supported, refused: CHAT });
export const completionTable = (supported: readonly string[]): ParameterTable => ({
  supported,
  refused: COMPLETION,
});

/** What the native engine takes besides the parameters it acts on, for the published description. */
export function publishedParameters(endpoint: 'chat' | 'completion'): Record<string, z.ZodType> {
  const refused = Object.entries(endpoint === 'chat' ? CHAT : COMPLETION).map(
    ([name, { schema, reason }]) => {
      const description = `Not supported: ${reason}. Only values that ask for nothing are taken.`;
      return [name, schema.optional().meta({ description })] as const;
    },
  );
  const harmless = [...HARMLESS].map((name) => {
    const description = 'Accepted and not read: it cannot change the answer.';
    return [name, z.unknown().optional().meta({ description })] as const;
  });
  return Object.fromEntries([...refused, ...harmless]);
}

/**
 * @param body the request with its nulls already taken out (OpenAI: null means absent)
 * @returns the parameters that the engine acts on
 * @throws UNSUPPORTED_PARAMETER for what the engine cannot do, INVALID_REQUEST for a name that means nothing
 */
export function actOnParameters(
  body: Readonly<Record<string, unknown>>,
  table: ParameterTable,
): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    if (table.supported.includes(name)) {
      kept[name] = value;
      continue;
    }
    if (HARMLESS.has(name)) continue;
    const refused = Object.hasOwn(table.refused, name) ? table.refused[name] : undefined;
    if (refused === undefined) throw unknownParameter(name, table.supported);
    if (!refused.neutral(value)) {
      throw new ShoalError(
        'UNSUPPORTED_PARAMETER',
        `${name}${shown(value)} is not supported: ${refused.reason}`,
        { param: name },
      );
    }
  }
  return kept;
}

const MAX_SHOWN_CHARS = 64;

function shown(value: unknown): string {
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string'
    ? ` = ${JSON.stringify(value).slice(0, MAX_SHOWN_CHARS)}`
    : '';
}

function unknownParameter(name: string, supported: readonly string[]): ShoalError {
  const shortName = name.slice(0, MAX_SHOWN_CHARS);
  return new ShoalError(
    'INVALID_REQUEST',
    `unrecognized request argument: ${shortName}${didYouMean(name, supported) || '; remove it'}`,
    { param: shortName },
  );
}
