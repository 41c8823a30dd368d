/** An hour of a room in which machines come and go, placed by one rule; what it is worth to those who use it. */
import type { HeldRange, LayerRange, WorkerView } from '../../schedule/mesh-view.ts';
import { predict } from '../../schedule/predict.ts';
import { StageCosts } from '../../schedule/stage-costs.ts';
import { upperBound } from '../baselines/upper-bound.ts';
import { SeededRandom } from '../random.ts';
import {
  drawMachine,
  JOINS_PER_SECOND_AND_WORKER,
  type Machine,
  ROOM_MODEL,
  roundTripSeconds,
} from './machines.ts';
import type { Policy } from './policies.ts';
import { runStreams } from './streams.ts';

export interface ChurnOptions {
  readonly seed: number;
  readonly workers: number;
  readonly policy: (random: SeededRandom) => Policy;
  readonly seconds: number;
  /** Between two looks at the room. */
  readonly stepSeconds: number;
  /** Answers that run at once. */
  readonly concurrency: number;
}

export interface ChurnResult {
  readonly policy: string;
  /** Share of the time in which every layer was held. */
  readonly coverage: number;
  /** Of all answers together, as a mean over the time; 0 while a layer is held by nobody. */
  readonly tokensPerSecond: number;
  /** No placement could give more. */
  readonly bound: number;
  /** Of a prompt of 200 ids, as a mean while there is a route. */
  readonly firstTokenSeconds: number;
  /** Of one answer: how often in an hour it stood still, and for how long in all (seconds). */
  readonly pausesPerHour: number;
  readonly pausedSecondsPerHour: number;
  /** Layers that were loaded by workers that had held others, an hour. */
  readonly movedPerHour: number;
  /** Taken from the network. */
  readonly loadedBytesPerHour: number;
  /** Of one decision, real time. */
  readonly decideMs: { readonly mean: number; readonly p99: number; readonly worst: number };
}

const PROMPT = 200;
/** What an answer has that moves: prompt, and half of what it will say. */
const REPLAYED = 400;
/** Until a silent loss is known; the same for every rule. */
const DETECT_SECONDS = 0.5;
const STREAMS = 8;
/** Where nothing has changed. */
const LOOK_SECONDS = 30;
const CACHED_BYTES_PER_SECOND = 500e6;

interface Member {
  readonly machine: Machine;
  readonly leavesAt: number;
  held: { readonly range: LayerRange; readonly readyAt: number; readonly bytes: number }[];
  readonly cachedLayers: Set<number>;
  hasHeld: boolean;
}

interface Stream {
  route: readonly (LayerRange & { readonly worker: string })[] | null;
  /** Since when it stands still; null: it goes on. */
  pausedAt: number | null;
}

export function runChurn(options: ChurnOptions): ChurnResult {
  return new Churn(options).run();
}

class Churn {
  readonly #options: ChurnOptions;
  readonly #random: SeededRandom;
  readonly #costs = new StageCosts(ROOM_MODEL);
  readonly #policy: Policy;
  readonly #members = new Map<string, Member>();
  readonly #streams: Stream[] = Array.from({ length: STREAMS }, () => ({ route: null, pausedAt: 0 }));
  #now = 0;
  #count = 0;
  #moved = 0;
  #loadedBytes = 0;
  #pauses = 0;
  #paused = 0;
  readonly #decideMs: number[] = [];
  #lastState = '';
  #decidedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ChurnOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    this.#policy = options.policy(this.#random.fork('policy'));
  }

  run(): ChurnResult {
    const { workers, seconds, stepSeconds } = this.#options;
    const random = this.#random.fork('joins');
    for (let i = 0; i < workers; i++) this.#join();
    let [samples, covered, tokens, bound, firstToken, routes] = [0, 0, 0, 0, 0, 0];
    let owed = 0;
    // Loading the first time is the same for all: what counts begins after it.
    const warmUp = 600;
    for (this.#now = 0; this.#now < warmUp + seconds; this.#now += stepSeconds) {
      const counts = this.#now >= warmUp;
      owed += workers * JOINS_PER_SECOND_AND_WORKER * stepSeconds * random.between(0.5, 1.5);
      for (; owed >= 1; owed--) this.#join();
      for (const [id, { leavesAt }] of this.#members) if (leavesAt <= this.#now) this.#members.delete(id);
      if (this.#isChanged()) this.#decide();
      if (this.#now < warmUp) this.#moved = this.#loadedBytes = 0;
      // Answers run when it is over.
      if (this.#now < warmUp - stepSeconds) continue;
      const score = this.#score();
      this.#stream(score.route, counts);
      if (!counts) continue;
      samples++;
      bound += upperBound(this.#costs, this.#views(), this.#options.concurrency).tokensPerSecond;
      if (score.route === null) continue;
      covered++;
      tokens += score.tokensPerSecond;
      firstToken += score.firstTokenSeconds;
      routes++;
    }
    const hours = seconds / 3_600;
    const decideMs = this.#decideMs.sort((a, b) => a - b);
    const mean = decideMs.reduce((sum, ms) => sum + ms, 0) / decideMs.length;
    return {
      policy: this.#policy.name,
      coverage: covered / samples,
      tokensPerSecond: tokens / samples,
      bound: bound / samples,
      firstTokenSeconds: firstToken / Math.max(1, routes),
      pausesPerHour: this.#pauses / STREAMS / hours,
      pausedSecondsPerHour: this.#paused / STREAMS / hours,
      movedPerHour: this.#moved / hours,
      loadedBytesPerHour: this.#loadedBytes / hours,
      decideMs: { mean, p99: decideMs[Math.floor(decideMs.length * 0.99)]!, worst: decideMs.at(-1)! },
    };
  }

  #join(): void {
    const machine = drawMachine(this.#random.fork(`machine ${this.#count}`), this.#count);
    this.#count += 1;
    // Those of the start are met in the middle of their stay, as a room that has long been open has them.
    const leavesAt = this.#now + machine.staysSeconds;
    this.#members.set(machine.id, { machine, leavesAt, held: [], cachedLayers: new Set(), hasHeld: false });
  }

  #views(): WorkerView[] {
    return [...this.#members.values()].map(({ machine, held, cachedLayers }) => ({
      ...machine.view,
      held: held.map(
        ({ range, readyAt, bytes }): HeldRange => ({
          ...range,
          bytes,
          state: readyAt <= this.#now ? 'held' : 'loading',
        }),
      ),
      cached: rangesOf(cachedLayers),
    }));
  }

  /** Somebody came, went, or has loaded; or it is time to look again. */
  #isChanged(): boolean {
    const state = [...this.#members.values()]
      .map(
        ({ machine, held }) => `${machine.id} ${held.filter(({ readyAt }) => readyAt <= this.#now).length}`,
      )
      .join();
    const isSame = state === this.#lastState && this.#now - this.#decidedAt < LOOK_SECONDS;
    this.#lastState = state;
    if (!isSame) this.#decidedAt = this.#now;
    return !isSame;
  }

  #decide(): void {
    const used = new Set(this.#streams.flatMap(({ route }) => route?.map(({ worker }) => worker) ?? []));
    const view = {
      costs: this.#costs,
      workers: this.#views(),
      rtt: (from: string, to: string) => this.#rtt(from, to),
      concurrency: this.#options.concurrency,
      isUsed: (worker: string) => used.has(worker),
      nowSeconds: this.#now,
    };
    const startedMs = performance.now();
    const { hold, drop } = this.#policy.decide(view);
    this.#decideMs.push(performance.now() - startedMs);
    for (const { worker, range } of drop) {
      const member = this.#members.get(worker)!;
      member.held = member.held.filter(
        ({ range: held }) => held.start !== range.start || held.end !== range.end,
      );
    }
    for (const [id, range] of hold) this.#load(this.#members.get(id)!, range);
  }

  #load(member: Member, range: LayerRange): void {
    const { machine, cachedLayers } = member;
    const bytes = this.#costs.bytes(machine.view, range.start, range.end);
    const layers = Array.from({ length: range.end - range.start }, (_, index) => range.start + index);
    const fresh = layers.filter((layer) => !cachedLayers.has(layer)).length / layers.length;
    const seconds = (bytes * fresh) / machine.downloadBytesPerSecond + bytes / CACHED_BYTES_PER_SECOND;
    member.held.push({ range, bytes, readyAt: this.#now + seconds });
    for (const layer of layers) cachedLayers.add(layer);
    this.#loadedBytes += bytes * fresh;
    if (member.hasHeld) this.#moved += layers.length;
    member.hasHeld = true;
  }

  #rtt(from: string, to: string): number {
    const [a, b] = [this.#members.get(from), this.#members.get(to)];
    return a === undefined || b === undefined ? 0.2 : roundTripSeconds(a.machine, b.machine);
  }

  #ready(): { worker: Member; range: LayerRange }[] {
    return [...this.#members.values()].flatMap((worker) =>
      worker.held.filter(({ readyAt }) => readyAt <= this.#now).map(({ range }) => ({ worker, range })),
    );
  }

  #score() {
    const ready = this.#ready().map(({ worker, range }) => ({
      worker: worker.machine.id,
      range,
      macsPerSecond: worker.machine.view.macsPerSecond,
    }));
    const { concurrency } = this.#options;
    const { quickest, tokensPerSecond } = runStreams(
      this.#costs,
      ready,
      (from, to) => this.#rtt(from, to),
      concurrency,
    );
    const firstTokenSeconds = quickest === null ? 0 : this.#predict(quickest).firstTokenSeconds;
    return { route: quickest, tokensPerSecond, firstTokenSeconds };
  }

  #predict(stops: readonly (LayerRange & { readonly worker: string })[]) {
    const stages = stops.map(({ worker, start, end }, index) => ({
      start,
      end,
      cost: { stepSeconds: 0.001, macsPerSecond: this.#members.get(worker)!.machine.view.macsPerSecond },
      prefillRowsPerSecond: null,
      hopSeconds: this.#rtt(worker, stops[(index + 1) % stops.length]!.worker) / 2,
    }));
    return predict(this.#costs, stages, PROMPT);
  }

  /** Answers stay on their route for as long as it stands; where it breaks, what is new of the next one is computed again. */
  #stream(quickest: Stream['route'], counts: boolean): void {
    for (const stream of this.#streams) {
      const { route } = stream;
      const stands = route?.every((stop) => this.#holds(stop)) ?? false;
      if (stands) continue;
      if (route !== null) {
        stream.route = null;
        stream.pausedAt = this.#now;
      }
      if (quickest === null) continue;
      const fresh = quickest.filter(
        (stop) =>
          !route?.some(
            (old) => old.worker === stop.worker && old.start === stop.start && old.end === stop.end,
          ),
      );
      const replay = fresh.reduce((sum, stop) => sum + this.#replaySeconds(stop), 0);
      const waited = stream.pausedAt === null ? 0 : this.#now - stream.pausedAt;
      stream.route = quickest;
      stream.pausedAt = null;
      if (!counts) continue;
      this.#pauses += 1;
      this.#paused += DETECT_SECONDS + waited + replay;
    }
  }

  #holds({ worker, start, end }: LayerRange & { readonly worker: string }): boolean {
    const member = this.#members.get(worker);
    return (
      member?.held.some(
        ({ range, readyAt }) => readyAt <= this.#now && range.start <= start && range.end >= end,
      ) === true
    );
  }

  #replaySeconds({ worker, start, end }: LayerRange & { readonly worker: string }): number {
    const { macsPerSecond } = this.#members.get(worker)!.machine.view;
    const cost = { stepSeconds: 0.001, macsPerSecond };
    const stage = { start, end, cost, prefillRowsPerSecond: null, hopSeconds: 0 };
    return predict(this.#costs, [stage], REPLAYED).firstTokenSeconds;
  }
}

function rangesOf(layers: ReadonlySet<number>): LayerRange[] {
  const sorted = [...layers].sort((a, b) => a - b);
  const ranges: { start: number; end: number }[] = [];
  for (const layer of sorted) {
    const last = ranges.at(-1);
    if (last?.end === layer) last.end = layer + 1;
    else ranges.push({ start: layer, end: layer + 1 });
  }
  return ranges;
}
