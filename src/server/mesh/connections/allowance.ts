/** How much one connection may say: of everything, and of what costs more than to be read. */
import { ShoalError } from '../../../config/errors.ts';
import {
  CONTROL_BURST,
  CONTROL_BURST_BYTES,
  CONTROL_BYTES_PER_SECOND,
  CONTROL_MESSAGES_PER_SECOND,
  LINK_REPORT_BURST,
  LINK_REPORTS_PER_SECOND,
  SIGNAL_BURST,
  SIGNALS_PER_SECOND,
  STATE_CHANGE_BURST,
  STATE_CHANGES_PER_SECOND,
} from '../../../config/limits.ts';
import type { PeerMessage } from '../../../mesh/protocol/control.ts';
import { TokenBucket } from '../../token-bucket.ts';

/** What is to be sent more rarely than any message may be. */
type Kind = 'signal' | 'link report' | 'change of state';

/** A `running` is one with the `join` that it follows. */
const KINDS: Partial<Record<PeerMessage['type'], Kind>> = {
  signal: 'signal',
  link: 'link report',
  join: 'change of state',
  leave: 'change of state',
  drain: 'change of state',
};

const RATES: Record<Kind, readonly [perSecond: number, burst: number]> = {
  signal: [SIGNALS_PER_SECOND, SIGNAL_BURST],
  'link report': [LINK_REPORTS_PER_SECOND, LINK_REPORT_BURST],
  'change of state': [STATE_CHANGES_PER_SECOND, STATE_CHANGE_BURST],
};

export class Allowance {
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  readonly #kinds: Record<Kind, TokenBucket>;

  constructor(nowMs: number) {
    this.#messages = new TokenBucket(CONTROL_MESSAGES_PER_SECOND, CONTROL_BURST, nowMs);
    this.#bytes = new TokenBucket(CONTROL_BYTES_PER_SECOND, CONTROL_BURST_BYTES, nowMs);
    const bucketOf = (kind: Kind) => new TokenBucket(...RATES[kind], nowMs);
    this.#kinds = {
      signal: bucketOf('signal'),
      'link report': bucketOf('link report'),
      'change of state': bucketOf('change of state'),
    };
  }

  /** Something has come, of so many bytes. @throws OVERLOADED */
  take(nowMs: number, bytes: number): void {
    if (!this.#bytes.take(nowMs, bytes)) {
      throw new ShoalError(
        'OVERLOADED',
        `more than ${CONTROL_BYTES_PER_SECOND} B a second; the message was dropped, send less`,
      );
    }
    if (!this.#messages.take(nowMs)) {
      throw new ShoalError(
        'OVERLOADED',
        `more than ${CONTROL_MESSAGES_PER_SECOND} messages a second; the message was dropped, send fewer`,
      );
    }
  }

  /** It is of that type. @throws OVERLOADED */
  takeOf(nowMs: number, type: PeerMessage['type']): void {
    const kind = KINDS[type];
    if (kind === undefined || this.#kinds[kind].take(nowMs)) return;
    const [perSecond] = RATES[kind];
    throw new ShoalError(
      'OVERLOADED',
      `more than ${perSecond} ${kind === 'change of state' ? 'changes of state' : `${kind}s`} a second; this ${type} was dropped, send fewer`,
    );
  }
}
