/**
 * Which node a request goes to: the one that is likely to answer it first. Pure: the same input gives the same node.
 *
 * All nodes are compared. Choosing the better of two random ones protects against herds where many routers act on old
 * counts (Envoy); here one router has its own, to the request.
 */
import { NODE_SPEED_HALF_LIFE_MS, NODE_SPEED_WEIGHT } from '../../config/limits.ts';

/** Moving averages of one node's answers. */
export interface NodeSpeed {
  readonly timeToFirstTokenMs: number;
  /** Of one answer, after its first token; null until one had several tokens. */
  readonly tokensPerSecond: number | null;
  /** When it was last measured. */
  readonly atMs: number;
}

export interface RouteCandidate {
  readonly inFlight: number;
  readonly maxConcurrent: number;
  /** Null before the first answer: such a node is taken to be as fast as the fastest. */
  readonly speed: NodeSpeed | null;
  /** Of its recent requests, in [0, 1). */
  readonly failureShare: number;
  /** 0 first. A higher one is used only when no lower has room: nodes that are not ready, or said to be busy. */
  readonly tier: number;
  /** A count that grows with every choice: among equals the one that waited longest is next. */
  readonly lastChosen: number;
}

/** Tokens of the answer that nodes are compared by; a chat's answer has some hundred. */
const TYPICAL_TOKENS = 200;
/**
 * How much slower than an idle node one at its `maxConcurrent` answers. Servers that batch lie near 1 (twice as slow),
 * those that answer one after the other far above; between, as nothing says which is which.
 */
const LOAD_SLOWDOWN = 3;
/** Waits that differ by less, or by a moment that nobody sees, are the same: they vary by more from prompt to prompt. */
const SAME_WAIT = 1.1;
const SAME_WAIT_MS = 50;
/** Where nothing was measured only the loads count, so any value serves. */
const UNMEASURED_MS = 1_000;

/** @returns the index of the best candidate with room, or -1 where none has */
export function chooseNode(candidates: readonly RouteCandidate[], nowMs: number): number {
  const withRoom = candidates.filter(({ inFlight, maxConcurrent }) => inFlight < maxConcurrent);
  const tier = Math.min(...withRoom.map((candidate) => candidate.tier));
  const open = withRoom.filter((candidate) => candidate.tier === tier);
  const fastest = Math.min(...open.map(({ speed }) => (speed === null ? Infinity : answerMs(speed))));
  const waits = open.map((candidate) => expectedWaitMs(candidate, fastest, nowMs));
  const least = Math.min(...waits);
  const limit = Math.max(least * SAME_WAIT, least + SAME_WAIT_MS);
  const equals = open.filter((_, index) => waits[index]! <= limit);
  const best = equals.toSorted((a, b) => load(a) - load(b) || a.lastChosen - b.lastChosen)[0];
  return best === undefined ? -1 : candidates.indexOf(best);
}

/** One whole answer, from an old measurement and a new one. Null where the answer had no token. */
export function measured(
  old: NodeSpeed | null,
  answer: {
    readonly timeToFirstTokenMs: number | null;
    readonly durationMs: number;
    readonly completionTokens: number | null;
  },
  atMs: number,
): NodeSpeed | null {
  const { timeToFirstTokenMs, durationMs, completionTokens } = answer;
  if (timeToFirstTokenMs === null) return old;
  const decodeSeconds = (durationMs - timeToFirstTokenMs) / 1000;
  const rate =
    completionTokens !== null && completionTokens > 1 && decodeSeconds > 0
      ? (completionTokens - 1) / decodeSeconds
      : null;
  return {
    timeToFirstTokenMs: mixed(old?.timeToFirstTokenMs ?? null, timeToFirstTokenMs)!,
    tokensPerSecond: mixed(old?.tokensPerSecond ?? null, rate),
    atMs,
  };
}

function mixed(old: number | null, next: number | null): number | null {
  if (old === null || next === null) return next ?? old;
  return old + (next - old) * NODE_SPEED_WEIGHT;
}

const load = ({ inFlight, maxConcurrent }: RouteCandidate) => inFlight / maxConcurrent;

function answerMs({ timeToFirstTokenMs, tokensPerSecond }: NodeSpeed): number {
  return timeToFirstTokenMs + (tokensPerSecond === null ? 0 : (TYPICAL_TOKENS / tokensPerSecond) * 1000);
}

/** A failure is answered at once by the next node, so a node's share of them costs tries, not its slowness alone. */
function expectedWaitMs(candidate: RouteCandidate, fastestMs: number, nowMs: number): number {
  const { speed, failureShare } = candidate;
  const best = Number.isFinite(fastestMs) ? fastestMs : UNMEASURED_MS;
  const faded = speed === null ? 0 : 0.5 ** ((nowMs - speed.atMs) / NODE_SPEED_HALF_LIFE_MS);
  const alone = speed === null ? best : best + (answerMs(speed) - best) * faded;
  return (alone * (1 + LOAD_SLOWDOWN * load(candidate))) / (1 - Math.min(failureShare, 0.9));
}
