/** Parameters that nobody here knows. They change nothing, so they are ignored; the client is told, for it may have meant another. */
import { ShoalError } from '../../config/errors.ts';
import { MAX_SHOWN_PARAMETER_CHARS, MAX_TOLD_PARAMETERS } from '../../config/limits.ts';
import { didYouMean } from '../../config/nearest.ts';

export interface UnknownParameter {
  /** `options.temprature`, `messages.0.colour`. */
  readonly path: string;
  /** The names that are known in its place. */
  readonly known: ReadonlySet<string>;
}

export type OnUnknown = (parameter: UnknownParameter) => void;

/** On answers to requests with parameters that were ignored: RFC 9110 has no `Warning` any more. */
export const WARNING_HEADER = 'x-shoal-warning';

/** Reports the names of `object` that are not in `known`. */
export function reportUnknown(
  object: object,
  known: ReadonlySet<string>,
  path: string,
  onUnknown: OnUnknown,
): void {
  for (const name of Object.keys(object))
    if (!known.has(name)) onUnknown({ path: path === '' ? name : `${path}.${name}`, known });
}

/** The unknown parameters of one request: each once, however many messages have it. */
export class IgnoredParameters {
  readonly #told = new Map<string, string>();
  readonly #isStrict: boolean;
  #more = 0;

  constructor(isStrict: boolean) {
    this.#isStrict = isStrict;
  }

  /** @throws INVALID_REQUEST where the server is strict */
  readonly add: OnUnknown = ({ path, known }) => {
    const name = printable(path);
    if (this.#isStrict) {
      const hint = didYouMean(path.split('.').at(-1)!, known);
      throw new ShoalError(
        'INVALID_REQUEST',
        `unrecognized request argument: ${name}${hint || '; remove it'}`,
        {
          param: name,
        },
      );
    }
    const kind = name.replaceAll(/\.\d+(?=\.|$)/g, '.*');
    if (this.#told.has(kind)) return;
    // The nearest name only for the few that are told: a body may have thousands.
    if (this.#told.size >= MAX_TOLD_PARAMETERS) this.#more++;
    else this.#told.set(kind, `${name}${didYouMean(path.split('.').at(-1)!, known)}`);
  };

  get isEmpty(): boolean {
    return this.#told.size === 0;
  }

  /** One line for a header and a log. */
  toString(): string {
    const more = this.#more === 0 ? '' : ` and ${this.#more} more`;
    return `ignored, as nothing here knows it: ${[...this.#told.values()].join(', ')}${more}`;
  }
}

/** A name is the client's text, and a header takes visible ASCII only. */
const printable = (text: string) => text.slice(0, MAX_SHOWN_PARAMETER_CHARS).replaceAll(/[^ -~]/g, '?');
