import { didYouMean } from '../config/nearest.ts';

/** Of the models that are there, in the error for one that is not. */
const MAX_NAMED_MODELS = 8;

/** `"; did you mean minnow-1?"`, or else the first models that there are. */
export function modelHint(wanted: string, models: readonly string[]): string {
  const shown = models.slice(0, MAX_NAMED_MODELS).join(', ');
  const more = models.length - MAX_NAMED_MODELS;
  return didYouMean(wanted, models) || `; there is: ${shown}${more > 0 ? `, and ${more} more` : ''}`;
}
