import { MAX_RENDERED_CHARS, MAX_TEMPLATE_DEPTH, MAX_TEMPLATE_STEPS } from '../../../config/limits.ts';
import { TemplateError } from './errors.ts';

// Rendering is synchronous and no template renders another, so one meter serves every function below it without being handed down.
let steps = 0;
let depth = 0;

/** Characters that cost as much as one step of the interpreter. */
const CHARS_PER_STEP = 16;
/** Comparisons of characters that a search may need for one step. */
const COMPARISONS_PER_STEP = 256;

/** Runs `work` with a full meter. */
export function metered<T>(work: () => T): T {
  steps = 0;
  depth = 0;
  return work();
}

/** @throws TemplateError when the template has done more than MAX_TEMPLATE_STEPS */
export function spend(count: number): void {
  steps += count;
  if (steps > MAX_TEMPLATE_STEPS) {
    throw new TemplateError(`it takes more than ${MAX_TEMPLATE_STEPS} steps; send less`);
  }
}

/** A text or list that is made or walked through. */
export function spendOnLength(length: number): void {
  spend(1 + length / CHARS_PER_STEP);
}

/** Looking for one text in another, at worst. */
export function spendOnSearch(text: string, wanted: string): void {
  spend(1 + (text.length * wanted.length) / COMPARISONS_PER_STEP);
}

/** Before a text is made: no template can make one that fills the memory. @throws TemplateError */
export function checkTextLength(length: number): void {
  if (length > MAX_RENDERED_CHARS) {
    throw new TemplateError(
      `it makes a text of ${length} characters, at most ${MAX_RENDERED_CHARS} are made`,
    );
  }
}

/** One level down: a macro, a recursive loop, a value within a value. @throws TemplateError */
export function deeper<T>(work: () => T): T {
  if (depth >= MAX_TEMPLATE_DEPTH) {
    throw new TemplateError(`it is nested deeper than ${MAX_TEMPLATE_DEPTH} levels`);
  }
  depth++;
  try {
    return work();
  } finally {
    depth--;
  }
}
