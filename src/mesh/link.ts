import { ShoalError } from '../config/errors.ts';
import { LINK_DEAD_MS, LINK_PING_MS } from '../config/limits.ts';
import type { Frame } from './frame.ts';
import { decodeFrame, encodeFrame } from './frame-codec.ts';
import { type RoundTripStats, RoundTrips } from './round-trips.ts';
import type { Timers } from './timers.ts';
import type { Transport, TransportStats } from './transport.ts';

export interface LinkOptions {
  /** Id of the other peer, for error texts. */
  readonly peer: string;
  readonly transport: Transport;
  readonly timers: Timers;
  /** Whole, valid frames except pings and pongs, in the order sent; `unpackMs`: what decoding took. */
  readonly onFrame: (frame: Frame, unpackMs: number) => void;
  readonly onOpen?: () => void;
  /** Called once. Never for a `close()` of this side. */
  readonly onDown: (reason: ShoalError) => void;
}

/**
 * The path to one other peer: frames over a transport, with a heartbeat. Lives in the Web Worker, where timers are not
 * slowed by a busy page; no timer is in the way of a token.
 *
 * Bytes are the sign of life, not pongs: a pong that waits behind a large activation does not kill the link.
 */
export class Link {
  readonly peer: string;
  private readonly options: LinkOptions;
  private readonly transport: Transport;
  private readonly trips = new RoundTrips();
  private cancelTick: (() => void) | null = null;
  private heardAtMs: number;
  private heardBytes = 0;
  private down = false;

  constructor(options: LinkOptions) {
    this.options = options;
    this.peer = options.peer;
    this.transport = options.transport;
    this.heardAtMs = options.timers.now();
  }

  /** Takes the transport's events from here on; call once. What already happened is told at once. */
  start(): void {
    this.transport.onClose((reason) => this.fell(reason));
    this.transport.onOpen(() => {
      this.heardAtMs = this.options.timers.now();
      this.options.onOpen?.();
      this.ping();
    });
    this.transport.onFrame((bytes) => this.received(bytes));
  }

  get state(): Transport['state'] {
    return this.transport.state;
  }

  get stats(): TransportStats {
    return this.transport.stats;
  }

  /** Round trips of the heartbeat, in milliseconds; null before the first pong. */
  get roundTrip(): RoundTripStats | null {
    return this.trips.stats;
  }

  /**
   * Resolves when more may be sent (see `Transport.send`). The payload must not be changed until then.
   * @throws FRAME_INVALID, FRAME_TOO_LARGE, OVERLOADED, LINK_FAILED
   */
  async send(frame: Frame): Promise<void> {
    await this.transport.send(encodeFrame(frame));
  }

  /** Like `send`, for a caller that has encoded (and timed) the frame itself. */
  async sendEncoded(bytes: Uint8Array): Promise<void> {
    await this.transport.send(bytes);
  }

  /** Ends the link from this side; `onDown` is not called. */
  close(): void {
    this.down = true;
    this.stopTicking();
    this.transport.close();
  }

  private received(bytes: Uint8Array): void {
    const { timers } = this.options;
    const startedMs = timers.now();
    let frame: Frame;
    try {
      frame = decodeFrame(bytes);
    } catch (thrown) {
      // A peer that sends one broken frame cannot be trusted with the next.
      this.transport.close(ShoalError.from(thrown, 'FRAME_INVALID'));
      return;
    }
    if (frame.kind === 'ping') this.beat('pong', frame.microBatch);
    else if (frame.kind === 'pong') this.trips.returned(frame.microBatch, timers.now());
    else this.options.onFrame(frame, timers.now() - startedMs);
  }

  private ping(): void {
    if (this.down) return;
    const { timers } = this.options;
    this.beat('ping', this.trips.left(timers.now()));
    this.cancelTick = timers.after(LINK_PING_MS, () => this.tick());
  }

  private tick(): void {
    const now = this.options.timers.now();
    const { bytesReceived } = this.transport.stats;
    if (bytesReceived !== this.heardBytes) {
      this.heardBytes = bytesReceived;
      this.heardAtMs = now;
    }
    const silentMs = now - this.heardAtMs;
    if (silentMs >= LINK_DEAD_MS) {
      const silence = `peer ${this.peer} was silent for ${Math.round(silentMs)} ms, at most ${LINK_DEAD_MS} ms are allowed`;
      this.transport.close(new ShoalError('LINK_FAILED', silence));
      return;
    }
    this.ping();
  }

  private beat(kind: 'ping' | 'pong', number: number): void {
    const frame: Frame = { kind, dtype: 'none', epoch: 0, microBatch: number, entries: [], payload: NOTHING };
    // A full queue refuses the ping; then the silence is judged by what still arrives. A closed link has told `onDown`.
    this.transport.send(encodeFrame(frame)).catch(() => {});
  }

  private fell(reason: ShoalError): void {
    this.stopTicking();
    if (this.down) return;
    this.down = true;
    this.options.onDown(reason);
  }

  private stopTicking(): void {
    this.cancelTick?.();
    this.cancelTick = null;
  }
}

const NOTHING = new Uint8Array(0);
