/** A language model of forty words whose next token depends on all before it: what stand-in servers generate with. */

const WORDS =
  'The a one small big old blue red fox bird fish tree river sea moon sun runs sings sleeps sees likes finds and but then so here there now never always again with without under over near far .'
    .split(' ')
    .map((word) => (word === '.' ? '.' : ` ${word}`));
/** Ends the answer. */
export const TOY_END = WORDS.length;

export interface ToySampling {
  readonly temperature: number;
  readonly seed: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  /** By token id. */
  readonly bias?: Readonly<Record<string, number>>;
  readonly maxTokens: number;
  readonly stop?: readonly string[];
}

export interface ToyToken {
  readonly text: string;
  readonly logprob: number;
  /** Most probable first. */
  readonly top: readonly { readonly text: string; readonly logprob: number }[];
}

export interface ToyAnswer {
  readonly tokens: readonly ToyToken[];
  /** Cut before a stop string. */
  readonly text: string;
  readonly finish: 'stop' | 'length';
}

export const countTokens = (text: string): number => text.split(/\s+/).filter(Boolean).length + 1;

export function toyAnswer(prompt: string, sampling: ToySampling): ToyAnswer {
  const tokens: ToyToken[] = [];
  let text = '';
  let state = hash(prompt, 1);
  let draw = hash('draw', sampling.seed >>> 0);
  while (tokens.length < sampling.maxTokens) {
    const logits = Array.from({ length: WORDS.length + 1 }, (_, id) => {
      const base = ((hash(String(id), state) >>> 8) / 2 ** 24) * 6;
      const pull = id === TOY_END ? tokens.length / 4 - 3 : 0;
      return base + pull + (sampling.bias?.[id] ?? 0);
    });
    const logprobs = logSoftmax(logits);
    const order = logprobs.map((_, id) => id).sort((a, b) => logits[b]! - logits[a]! || a - b);
    draw = hash('next', draw);
    const id = sampling.temperature === 0 ? order[0]! : pick(kept(order, logits, sampling), draw / 2 ** 32);
    if (id === TOY_END) return { tokens, text, finish: 'stop' };
    tokens.push({
      text: WORDS[id]!,
      logprob: logprobs[id]!,
      top: order.map((other) => ({ text: WORDS[other] ?? '<end>', logprob: logprobs[other]! })),
    });
    text += WORDS[id];
    for (const stop of sampling.stop ?? []) {
      const at = text.indexOf(stop);
      if (at >= 0) return { tokens, text: text.slice(0, at), finish: 'stop' };
    }
    state = hash(WORDS[id]!, state);
  }
  return { tokens, text, finish: 'length' };
}

function kept(order: readonly number[], logits: readonly number[], s: ToySampling): [number, number][] {
  const best = logits[order[0]!]!;
  let weighted = order.map((id): [number, number] => [id, Math.exp((logits[id]! - best) / s.temperature)]);
  if (s.topK !== undefined && s.topK > 0) weighted = weighted.slice(0, s.topK);
  if (s.minP !== undefined) weighted = weighted.filter(([, weight]) => weight >= s.minP!);
  if (s.topP !== undefined) {
    const total = weighted.reduce((sum, [, weight]) => sum + weight, 0);
    let mass = 0;
    weighted = weighted.filter(([, weight], at) => {
      const within = at === 0 || mass < s.topP! * total;
      mass += weight;
      return within;
    });
  }
  return weighted;
}

function pick(weighted: readonly [number, number][], share: number): number {
  let rest = share * weighted.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [id, weight] of weighted) {
    rest -= weight;
    if (rest < 0) return id;
  }
  return weighted[0]![0];
}

function logSoftmax(logits: readonly number[]): number[] {
  const best = Math.max(...logits);
  const sum = Math.log(logits.reduce((total, logit) => total + Math.exp(logit - best), 0)) + best;
  return logits.map((logit) => logit - sum);
}

/** FNV-1a over UTF-16 units, with a final mix; unsigned 32-bit. */
function hash(text: string, start: number): number {
  let value = (start ^ 0x811c9dc5) >>> 0;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193) >>> 0;
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b) >>> 0;
  return (value ^ (value >>> 13)) >>> 0;
}
