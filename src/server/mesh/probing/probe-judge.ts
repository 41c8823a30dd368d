/** What a probe is measured by, and what becomes of those whose answer it was. */
import { randomInt } from 'node:crypto';
import type { Logger } from 'pino';
import { type ProbeAnswer, ProbeAnswers, type ProbedStage, probeIds } from '../../../schedule/probe.ts';
import type { Holding } from '../holdings/holding.ts';
import type { Holdings } from '../holdings/holdings.ts';
import type { Peer } from '../peers/peer.ts';
import type { Health } from '../routes/health.ts';
import type { FoundStage } from '../routes/route-search.ts';
import type { MeshRoutes } from '../routes/routes.ts';

export interface ProbeJudgeOptions {
  readonly vocab: number;
  readonly draw?: (below: number) => number;
  readonly holdings: Holdings;
  readonly routes: MeshRoutes;
  readonly health: Health;
  /** They were left out for what they computed. */
  readonly onWrong: (peers: readonly Peer[]) => void;
  readonly log: Logger;
}

/** Whether a holding may be on a probe now, and whether it has something to prove. */
export interface ProbeView {
  readonly isIdle: (holding: Holding) => boolean;
  readonly isProven: (holding: Holding) => boolean;
  readonly isNew: (holding: Holding) => boolean;
}

export class ProbeJudge {
  readonly #options: ProbeJudgeOptions & ProbeView;
  readonly #answers = new ProbeAnswers();

  constructor(options: ProbeJudgeOptions & ProbeView) {
    this.#options = options;
  }

  /** Others each time: an answer that was heard once is worth nothing. */
  draw(): readonly number[] {
    return probeIds(this.#options.vocab, this.#options.draw ?? randomInt);
  }

  /** A route whose answer tells whether that of `path` is right: who is believed first, and of them who has not said so before. */
  measureFor(path: readonly FoundStage[]): readonly FoundStage[] | null {
    const { health, routes, isIdle, isProven, isNew } = this.#options;
    const suspects = path.map(({ holding: { peer } }, i) => (isNew(path[i]!.holding) ? peer : null));
    const critics = this.#answers.critics(suspects.flatMap((peer) => peer?.id ?? []));
    const isOther = (holding: Holding) =>
      isIdle(holding) && isProven(holding) && !suspects.includes(holding.peer);
    const isFresh = ({ peer }: Holding) => !critics.has(peer.id);
    const isBelieved = ({ peer }: Holding) => !health.isDoubted(peer);
    const looks = [[isBelieved, isFresh], [isBelieved], [isFresh], []];
    for (const look of looks) {
      const found = routes.ways.candidate((holding) => isOther(holding) && look.every((is) => is(holding)));
      if (found !== null) return found;
    }
    // Where there is nobody else, what a worker has proved stands for what it has loaded since: it serves by that alone.
    const loaded = path.map(({ holding }) => holding);
    return routes.ways.candidate(
      (holding) => isIdle(holding) && isProven(holding) && !isNew(holding) && !loaded.includes(holding),
    );
  }

  answerOf(path: readonly Holding[], tokens: readonly number[]): ProbeAnswer {
    return { stages: path.map((holding) => this.#stageOf(holding)), tokens };
  }

  /** @returns those that are to be asked again, after a while */
  judge(path: readonly Holding[], answer: ProbeAnswer, reference: ProbeAnswer | null): readonly Holding[] {
    const { health, holdings, log, onWrong } = this.#options;
    const verdict = this.#answers.judge(answer, reference);
    const those = (ids: readonly string[]) => holdings.all().filter(({ peer }) => ids.includes(peer.id));
    log.debug(
      { verdict: verdict.kind },
      `a token came round ${path.map(({ peer }) => peer.name).join(', ')}`,
    );
    switch (verdict.kind) {
      case 'wrong': {
        const named = path.filter(({ peer }) => verdict.peers.includes(peer.id));
        onWrong(health.computedWrong(named.map(({ peer }) => peer)));
        return named;
      }
      case 'doubted': {
        const named = those(verdict.peers);
        for (const peer of new Set(named.map((holding) => holding.peer))) health.doubted(peer);
        // A token came round it, and where nobody else can serve it may.
        for (const holding of path) holding.hasServed = true;
        return named;
      }
      case 'proved':
        for (const holding of path) {
          holding.hasServed = true;
          health.proved(holding.peer, verdict.vouched.includes(holding.peer.id));
        }
        for (const { peer } of those(verdict.vouched)) health.proved(peer, true);
        return [];
      default:
        return verdict satisfies never;
    }
  }

  forget(peer: Peer): void {
    this.#answers.forget(peer.id);
  }

  #stageOf(holding: Holding): ProbedStage {
    const { peer, layers } = holding;
    const { start, end } = layers;
    return {
      peer: peer.id,
      address: peer.address,
      class: peer.capability?.class ?? null,
      start,
      end,
      isProven: !this.#options.isNew(holding),
      isWitness: this.#options.health.isWitness(peer),
    };
  }
}
