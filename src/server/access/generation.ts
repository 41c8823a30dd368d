import type { Generation } from './exchange.ts';

const OPERATIONS: Readonly<Record<string, Generation['operation']>> = {
  '/v1/chat/completions': 'chat',
  '/v1/completions': 'text_completion',
  '/api/chat': 'chat',
  '/api/generate': 'text_completion',
};

export const GENERATING_PATHS: readonly string[] = Object.keys(OPERATIONS);

/** What a request asks to generate; null where its path is not one that generates. */
export function generationOf(path: string, body: unknown): Generation | null {
  const operation = OPERATIONS[path];
  if (operation === undefined) return null;
  const model = typeof body === 'object' && body !== null && 'model' in body ? body.model : undefined;
  return { operation, model: typeof model === 'string' ? model : undefined };
}
