/** A model small enough to stand in a test: words chosen by a hash, so that equal requests give equal texts. */

const WORDS = ' sea, herring shoal wave 鰊 deep cold tide silver naïve drift 🐟 current north swarm'
  .split(' ')
  .slice(1);

/** FNV-1a, 32 bit. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return value;
}

export interface Token {
  readonly text: string;
  readonly logprob: number;
  /** The likeliest first; twenty. */
  readonly top: readonly { readonly text: string; readonly logprob: number }[];
}

const MAX_WORDS = 24;

/**
 * @param temperature 0 picks the likeliest; else the seed decides
 * @param seed undefined: another text each time
 */
export function* words(prompt: string, temperature: number, seed: number | undefined): Generator<Token> {
  const salt = temperature === 0 ? '' : String(seed ?? Math.random());
  const length = 8 + (hash(prompt) % (MAX_WORDS - 8));
  for (let at = 0; at < length; at++) {
    const greedy = hash(`${prompt}/${at}`) % WORDS.length;
    const top = Array.from({ length: 20 }, (_, rank) => ({
      text: `${at === 0 ? '' : ' '}${WORDS[(greedy + rank) % WORDS.length]}${rank >= WORDS.length ? rank : ''}`,
      logprob: -0.1 - rank * 0.5,
    }));
    const rank = temperature === 0 ? 0 : hash(`${salt}/${prompt}/${at}`) % WORDS.length;
    yield { ...top[rank]!, top };
  }
}

/** A text that must come as it is (JSON of a schema, what a tool said), three characters a token. */
export function* literal(text: string): Generator<Token> {
  const characters = [...text];
  for (let at = 0; at < characters.length; at += 3) {
    const piece = characters.slice(at, at + 3).join('');
    yield { text: piece, logprob: -0.01, top: [{ text: piece, logprob: -0.01 }] };
  }
}

/** Something that fits a JSON schema of the plain kinds. */
export function instanceOf(schema: unknown, name = 'value'): unknown {
  const {
    type,
    properties,
    items,
    enum: values,
  } = (schema ?? {}) as {
    type?: string;
    properties?: Record<string, unknown>;
    items?: unknown;
    enum?: unknown[];
  };
  if (values?.[0] !== undefined) return values[0];
  if (properties !== undefined)
    return Object.fromEntries(
      Object.entries(properties).map(([key, inner]) => [key, instanceOf(inner, key)]),
    );
  if (type === 'object') return {};
  if (type === 'array') return [instanceOf(items, name)];
  if (type === 'integer' || type === 'number') return 7;
  if (type === 'boolean') return true;
  return `${name} of the sea`;
}

/** What was generated, cut at the first stop string; what may be the start of one is held back until it is not. */
export class Stops {
  #held = '';
  readonly #stops: readonly string[];

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '');
  }

  push(text: string): { text: string; stopped: boolean } {
    this.#held += text;
    const at = Math.min(
      ...this.#stops.map((stop) => this.#held.indexOf(stop)).filter((index) => index !== -1),
      Number.POSITIVE_INFINITY,
    );
    if (Number.isFinite(at)) return { text: this.#held.slice(0, at), stopped: true };
    let keep = 0;
    for (const stop of this.#stops) {
      for (let length = 1; length < stop.length; length++)
        if (this.#held.endsWith(stop.slice(0, length))) keep = Math.max(keep, length);
    }
    const out = this.#held.slice(0, this.#held.length - keep);
    this.#held = this.#held.slice(this.#held.length - keep);
    return { text: out, stopped: false };
  }

  flush(): string {
    return this.#held;
  }
}
