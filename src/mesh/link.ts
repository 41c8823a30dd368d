import { ShoalError } from '../config/errors.ts';
import { LINK_DEAD_MS, LINK_IDLE_PING_MS, LINK_PING_MS } from '../config/limits.ts';
import type { Frame } from './frame.ts';
import { decodeFrame, encodeFrame } from './frame-codec.ts';
import { type RoundTripStats, RoundTrips } from './round-trips.ts';
import { Silence } from './silence.ts';
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
  /** The link has fallen silent; the next call, with false, says that it is not any more. */
  readonly onSilent?: (isSilent: boolean) => void;
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
  private silence: Silence;
  private heardBytes = 0;
  private pingMs = LINK_IDLE_PING_MS;
  private pingedAtMs = 0;
  private isSilent = false;
  private down = false;

  constructor(options: LinkOptions) {
    this.options = options;
    this.peer = options.peer;
    this.transport = options.transport;
    this.silence = new Silence(options.timers.now(), this.pingMs);
  }

  /** Takes the transport's events from here on; call once. What already happened is told at once. */
  start(): void {
    this.transport.onClose((reason) => this.fell(reason));
    this.transport.onOpen(() => {
      this.silence = new Silence(this.options.timers.now(), this.pingMs);
      this.options.onOpen?.();
      if (!this.down) this.beat();
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

  /** How fast a silence must be noticed: at once while a sequence waits for what comes over this link. */
  setBusy(isBusy: boolean): void {
    const pingMs = isBusy ? LINK_PING_MS : LINK_IDLE_PING_MS;
    if (pingMs === this.pingMs) return;
    this.pingMs = pingMs;
    const { lastMs = 0, meanMs = 0 } = this.trips.stats ?? {};
    this.silence.pace(this.options.timers.now(), pingMs, Math.max(lastMs, meanMs));
    if (this.cancelTick === null || this.down) return;
    this.stopTicking();
    this.beat();
  }

  /** Whether it has been quiet for longer than its past explains. */
  get silent(): boolean {
    return this.isSilent;
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
    this.heard(startedMs);
    let frame: Frame;
    try {
      frame = decodeFrame(bytes);
    } catch (thrown) {
      // A peer that sends one broken frame cannot be trusted with the next.
      this.transport.close(ShoalError.from(thrown, 'FRAME_INVALID'));
      return;
    }
    if (frame.kind === 'ping') this.post('pong', frame.microBatch);
    else if (frame.kind === 'pong') this.trips.returned(frame.microBatch, timers.now());
    else this.options.onFrame(frame, timers.now() - startedMs);
  }

  private beat(): void {
    const nowMs = this.options.timers.now();
    // A tick that is early for the ping is there to notice silence.
    if (this.cancelTick === null || nowMs - this.pingedAtMs >= this.pingMs) {
      this.pingedAtMs = nowMs;
      this.post('ping', this.trips.left(nowMs));
    }
    this.cancelTick = this.options.timers.after(this.silence.planCheck(nowMs), () => this.tick());
  }

  private tick(): void {
    const nowMs = this.options.timers.now();
    const { bytesReceived } = this.transport.stats;
    // Slices of a large frame are signs of life too.
    if (bytesReceived !== this.heardBytes) this.heard(nowMs);
    const liveness = this.silence.check(nowMs);
    if (liveness === 'dead') {
      const quietMs = Math.round(this.silence.quietMs(nowMs));
      const silence = `peer ${this.peer} was silent for ${quietMs} ms, at most ${LINK_DEAD_MS} ms are allowed`;
      this.transport.close(new ShoalError('LINK_FAILED', silence));
      return;
    }
    this.setSilent(liveness === 'silent');
    if (!this.down) this.beat();
  }

  private heard(nowMs: number): void {
    this.heardBytes = this.transport.stats.bytesReceived;
    this.silence.heard(nowMs);
    this.setSilent(false);
  }

  private setSilent(isSilent: boolean): void {
    if (this.isSilent === isSilent || this.down) return;
    this.isSilent = isSilent;
    this.options.onSilent?.(isSilent);
  }

  private post(kind: 'ping' | 'pong', number: number): void {
    const frame: Frame = { kind, dtype: 'none', microBatch: number, entries: [], payload: NOTHING };
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
