/** What a new model_backend.yaml changes, for a log: no secret is told, only that it is another one. */
import type { ModelBackendConfig } from './backend-config.ts';
import { Secret } from './secret.ts';

/** @returns one text per changed key, in the file's spelling; none where both mean the same */
export function configChanges(before: ModelBackendConfig, after: ModelBackendConfig): string[] {
  const old = new Map(leaves(before, ''));
  const next = new Map(leaves(after, ''));
  const keys = [...new Set([...old.keys(), ...next.keys()])];
  return keys.flatMap((key) => {
    const [was, is] = [old.get(key), next.get(key)];
    if (was === undefined) return [`${key} added${shown(is, ': ')}`];
    if (is === undefined) return [`${key} removed`];
    if (was instanceof Secret && is instanceof Secret) {
      return was.reveal() === is.reveal() ? [] : [`${key} changed`];
    }
    return was === is ? [] : [`${key} ${shown(was, '')} → ${shown(is, '')}`];
  });
}

const shown = (value: unknown, before: string) =>
  value instanceof Secret ? '' : `${before}${JSON.stringify(value)}`;

/** `nodes[0].api_key` and the like, each with its value. */
function* leaves(value: unknown, path: string): Generator<[string, unknown]> {
  if (typeof value !== 'object' || value === null || value instanceof Secret) {
    if (value !== undefined) yield [path, value];
    return;
  }
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* leaves(item, `${path}[${index}]`);
    return;
  }
  for (const [key, item] of Object.entries(value)) {
    const name =
      key === 'provider' ? 'backend_provider' : key.replaceAll(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
    yield* leaves(item, path === '' ? name : `${path}.${name}`);
  }
}
