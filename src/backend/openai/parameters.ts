/**
 * What becomes of each parameter of a request: the engine acts on it, or it asks for nothing, or it is refused by name, or
 * nobody knows it and the client is told so. Nothing that could change the answer is dropped in silence.
 */
import { z } from 'zod';
import { ShoalError } from '../../config/errors.ts';
import { MAX_SHOWN_PARAMETER_CHARS } from '../../config/limits.ts';
import { type Body, CHAT, COMPLETION, HARMLESS, type Known } from './known-parameters.ts';
import type { OnUnknown } from './unknown-parameters.ts';

export interface ParameterTable {
  readonly supported: ReadonlySet<string>;
  readonly refused: Readonly<Record<string, Known>>;
}

/** @param overrides what this engine does otherwise, or says otherwise of it */
export const chatTable = (
  supported: readonly string[],
  overrides: Readonly<Record<string, Known>> = {},
): ParameterTable => ({ supported: new Set(supported), refused: { ...CHAT, ...overrides } });
export const completionTable = (
  supported: readonly string[],
  overrides: Readonly<Record<string, Known>> = {},
): ParameterTable => ({ supported: new Set(supported), refused: { ...COMPLETION, ...overrides } });

const harmless = new Set(HARMLESS);

/** What the engine takes besides the parameters that it acts on, for the published description. */
export function publishedParameters({ supported, refused }: ParameterTable): Record<string, z.ZodType> {
  const asksForNothing = Object.entries(refused)
    .filter(([name]) => !supported.has(name))
    .map(([name, { neutral, reason }]) => {
      const description = `Not supported: ${reason}. Only values that ask for nothing are taken.`;
      return [name, neutral.optional().meta({ description })] as const;
    });
  const unread = HARMLESS.filter((name) => !supported.has(name) && !Object.hasOwn(refused, name)).map(
    (name) => {
      const description = 'Accepted and not read: it cannot change the answer.';
      return [name, z.unknown().optional().meta({ description })] as const;
    },
  );
  return Object.fromEntries([...asksForNothing, ...unread]);
}

/**
 * @param body the request with its nulls already taken out (OpenAI: null means absent)
 * @param within the path of `body`, where that is an object of the request
 * @returns the parameters that the engine acts on
 * @throws UNSUPPORTED_PARAMETER for what the engine cannot do, and what `onUnknown` throws
 */
export function actOnParameters(
  body: Body,
  { supported, refused }: ParameterTable,
  onUnknown: OnUnknown,
  within = '',
): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    if (supported.has(name)) {
      kept[name] = value;
      continue;
    }
    const path = within === '' ? name : `${within}.${name}`;
    const known = Object.hasOwn(refused, name) ? refused[name] : undefined;
    if (known === undefined) {
      if (!harmless.has(name)) onUnknown({ path, known: supported });
      continue;
    }
    if (known.moot?.(body) || known.neutral.safeParse(value).success) continue;
    throw new ShoalError(
      'UNSUPPORTED_PARAMETER',
      `${path}${shown(value)} is not supported: ${known.reason}`,
      { param: path },
    );
  }
  return kept;
}

function shown(value: unknown): string {
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string'
    ? ` = ${JSON.stringify(value).slice(0, MAX_SHOWN_PARAMETER_CHARS)}`
    : '';
}
