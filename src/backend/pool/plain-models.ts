import { MAX_NODE_MODELS } from '../../config/limits.ts';
import { modelDetailsSchema } from '../../model/model-details.ts';
import type { ModelInfo } from '../backend.ts';

/** 9999-12-31T23:59:59Z: later times have no four-digit year, and far later ones are no dates at all. */
const LAST_SECOND = 253_402_300_799;

/**
 * What a node says that it has, in a form that every API can show: names without control characters, times that are dates.
 * The list is another server's text, and one entry of it must not spoil the list of all.
 */
export const plainModels = (models: readonly ModelInfo[]): ModelInfo[] =>
  models
    .filter(({ id }) => id !== '' && !/\p{Cc}/u.test(id))
    .slice(0, MAX_NODE_MODELS)
    .map(({ id, created, ownedBy, details }) => ({
      id,
      created: Number.isInteger(created) && created >= 0 && created <= LAST_SECOND ? created : 0,
      ownedBy: ownedBy.replaceAll(/\p{Cc}/gu, ''),
      ...(details !== undefined && { details: modelDetailsSchema.parse(details) }),
    }));
