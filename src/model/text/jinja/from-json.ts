import { TemplateError } from './errors.ts';
import { deeper } from './meter.ts';
import { Dict, type Value } from './value.ts';

/**
 * JSON's values as Python's json.loads gives them, but for whole floats: JavaScript does not tell 1.0 from 1.
 * @throws TemplateError for what JSON has not
 */
export function fromJson(value: unknown): Value {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value === 'bigint') return value;
  if (Array.isArray(value)) return deeper(() => value.map(fromJson));
  if (typeof value === 'object') {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    return deeper(() => Dict.of(entries.map(([key, item]) => [key, fromJson(item)] as const)));
  }
  throw new TemplateError(`a ${typeof value} is not a value of JSON`);
}
