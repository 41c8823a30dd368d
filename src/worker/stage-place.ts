import { ShoalError } from '../config/errors.ts';
import type { StageEngine, WireDtype } from '../gpu/stage-engine.ts';
import type { FrameKind } from '../mesh/frame.ts';
import type { Route } from '../mesh/protocol/control.ts';
import type { OpenSequence } from './stage-types.ts';

/** Layers [start, end) of the model. */
export type LayerRange = readonly [start: number, end: number];

/** Where a sequence meets this stage: its route of one epoch, and this worker's place on it. */
export class Place {
  readonly epoch: number;
  readonly index: number;
  readonly route: Route;
  readonly layers: LayerRange;
  readonly wire: WireDtype;
  /** Ids that were known when the route was chosen: the first token to come stands at this position. */
  readonly known: number;
  /** Nothing may be sent on before the server says from where. */
  readonly awaitsResume: boolean;

  /** @throws PROTOCOL_INVALID when the engine cannot stand where the route puts it */
  constructor(open: OpenSequence, engine: Pick<StageEngine, 'shard' | 'spec' | 'canComputePart'>) {
    const { index, route } = open;
    const own = route[index];
    const problem = own === undefined ? 'stages of a route count from 0' : misfit(own, open, engine);
    if (own === undefined || problem !== null) {
      throw new ShoalError(
        'PROTOCOL_INVALID',
        `sequence ${open.sequence}, stage ${index} of ${route.length}: ${problem}`,
      );
    }
    this.epoch = open.epoch;
    this.index = index;
    this.route = route;
    this.layers = [own.start, own.end];
    this.wire = open.wire;
    this.known = open.known;
    this.awaitsResume = open.awaitsResume;
  }

  get isFirst(): boolean {
    return this.index === 0;
  }

  get isLast(): boolean {
    return this.index === this.route.length - 1;
  }

  /** This worker's own id. */
  get self(): string {
    return this.route[this.index]!.peer;
  }

  /** Gets this stage's rows; of the last stage, its tokens. */
  get next(): string {
    return this.isLast ? this.route[0]!.peer : this.route[this.index + 1]!.peer;
  }

  /** Sends this stage its rows; nobody to the first. */
  get previous(): string | undefined {
    return this.route[this.index - 1]?.peer;
  }

  /** Peers that this stage sends to or hears from; itself where it is the only one. */
  get neighbours(): ReadonlySet<string> {
    const peers = new Set([this.next]);
    if (this.previous !== undefined) peers.add(this.previous);
    if (this.isFirst) peers.add(this.route.at(-1)!.peer);
    return peers;
  }

  /** Who may send this stage frames of this kind: activations come from before, tokens from the end, acks from behind. */
  senderOf(kind: FrameKind): string | undefined {
    switch (kind) {
      case 'activation':
        return this.previous;
      case 'token':
        return this.isFirst ? this.route.at(-1)?.peer : undefined;
      case 'ack':
        return this.route[this.index + 1]?.peer;
      case 'ping':
      case 'pong':
        return undefined;
      default:
        return kind satisfies never;
    }
  }

  /** Whether `open` names this very place, in this epoch. */
  isSame({ epoch, index, route }: OpenSequence): boolean {
    return (
      epoch === this.epoch &&
      index === this.index &&
      route.length === this.route.length &&
      route.every(({ peer, start, end }, at) => {
        const own = this.route[at]!;
        return peer === own.peer && start === own.start && end === own.end;
      })
    );
  }

  /** Whether what was computed at `other` is, bit for bit, what would be computed here. */
  computesLike(other: Place): boolean {
    const [start, end] = this.layers;
    return this.wire === other.wire && start === other.layers[0] && end === other.layers[1];
  }
}

/** Why the engine cannot stand there; null: it can. */
function misfit(
  { start, end }: Route[number],
  { index, route }: OpenSequence,
  { shard, spec, canComputePart }: Pick<StageEngine, 'shard' | 'spec' | 'canComputePart'>,
): string | null {
  if (start < shard.start || end > shard.end) {
    return `layers ${start} to ${end} are asked for, ${shard.start} to ${shard.end} are held`;
  }
  if ((start !== shard.start || end !== shard.end) && canComputePart !== true) {
    return `layers ${start} to ${end} are a part of the shard, and this engine computes whole shards only`;
  }
  const isLast = index === route.length - 1;
  if (isLast !== (end === spec.layers)) return `it ends at layer ${end}, the model has ${spec.layers}`;
  if ((index === 0 && !shard.embedding) || (isLast && !shard.head)) {
    return 'the first stage needs the embedding, the last the LM head, and the shard was loaded without';
  }
  return null;
}
