import { ShoalError } from '../../config/errors.ts';
import { MAX_JSON_DEPTH, MAX_JSON_VALUES } from '../../config/limits.ts';

/**
 * Refuses what recursive code chokes on further in: zod, chat templates and `JSON.stringify` end in "Maximum call stack
 * size exceeded", which would look like a failure of the node that the request was for. `JSON.parse` itself does not recurse.
 *
 * @throws INVALID_REQUEST beyond MAX_JSON_DEPTH and MAX_JSON_VALUES
 */
export function checkJsonBounds(body: unknown): void {
  let level = isContainer(body) ? [body] : [];
  let values = level.length;
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > MAX_JSON_DEPTH) {
      throw new ShoalError(
        'INVALID_REQUEST',
        `the request body has values nested more than ${MAX_JSON_DEPTH} deep; send fewer levels`,
      );
    }
    const next: object[] = [];
    for (const container of level) {
      const inner: unknown[] = Array.isArray(container) ? container : Object.values(container);
      values += inner.length;
      if (values > MAX_JSON_VALUES) {
        throw new ShoalError(
          'INVALID_REQUEST',
          `the request body holds more than ${MAX_JSON_VALUES} values; send fewer`,
        );
      }
      for (const value of inner) if (isContainer(value)) next.push(value);
    }
    level = next;
  }
}

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null;
