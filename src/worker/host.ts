import { ShoalError, type WireError } from '../config/errors.ts';
import { MAX_ASSIGNMENTS, STATS_INTERVAL_MS } from '../config/limits.ts';
import type { Frame } from '../mesh/frame.ts';
import { encodeFrame } from '../mesh/frame-codec.ts';
import { Link } from '../mesh/link.ts';
import { Links } from '../mesh/links.ts';
import { MemoryTransport } from '../mesh/memory-transport.ts';
import type { Capability, PeerMessage } from '../mesh/protocol/control.ts';
import type { Timers } from '../mesh/timers.ts';
import type { Transport } from '../mesh/transport.ts';
import { type AssignMessage, Assignment } from './assignment.ts';
import type { RequestDevice, WorkerDevice } from './device.ts';
import type { HopStats } from './hop-stats.ts';
import type { Detected, DetectOptions, WorkerApi, WorkerCommand, WorkerEvent } from './worker-api.ts';

export interface WorkerHostOptions {
  readonly requestDevice: RequestDevice;
  readonly emit: (event: WorkerEvent) => void;
  readonly timers: Timers;
  readonly userAgent: string;
}

/**
 * What runs in the Web Worker, without the Web Worker: one device, its assignments, the links to other peers.
 * Frames find their stage by epoch. Runs under Node too, with memory transports.
 */
export class WorkerHost implements WorkerApi {
  readonly #options: WorkerHostOptions;
  readonly #links: Links;
  readonly #assignments = new Map<number, Assignment>();
  readonly #loopbacks = new Map<string, Link>();
  #detectOptions: DetectOptions | null = null;
  #device: WorkerDevice | null = null;
  #lifetime = new AbortController();
  /** Loads run one after another, so that each knows what memory is left. */
  #loads: Promise<void> = Promise.resolve();
  #cancelStats: (() => void) | null = null;
  #tokensOfClosed = 0;
  #lastUsage = { tokens: 0, atMs: 0 };

  constructor(options: WorkerHostOptions) {
    this.#options = options;
    this.#links = new Links({
      timers: options.timers,
      onFrame: (peer, frame, unpackMs) => this.#route(peer, frame, unpackMs),
      onOpen: () => {
        for (const assignment of this.#assignments.values()) assignment.linkOpened();
      },
      onDown: (peer, reason, attempt) => {
        for (const assignment of this.#assignments.values()) assignment.linkLost(peer, reason);
        options.emit({ type: 'link-lost', peer, attempt });
      },
    });
  }

  /** Finds the device and measures it. Nothing touches the GPU before this. */
  async detect(detectOptions: DetectOptions): Promise<Detected> {
    this.#lifetime = new AbortController();
    this.#detectOptions = detectOptions;
    try {
      return { ok: true, capability: await this.#takeDevice() };
    } catch (thrown) {
      return { ok: false, error: ShoalError.from(thrown, 'NO_ADAPTER').toWire() };
    }
  }

  command(command: WorkerCommand): void {
    switch (command.type) {
      case 'assign':
        this.#assign(command);
        return;
      case 'unassign':
        this.#drop(command.epoch);
        return;
      case 'open':
      case 'prompt': {
        const stage = this.#assignments.get(command.epoch)?.stage;
        if (stage === undefined || stage === null) this.#refuseSequence(command.epoch, command.sequence);
        else if (command.type === 'open') stage.open(command);
        else stage.prompt(command);
        return;
      }
      case 'close':
        this.#assignments.get(command.epoch)?.stage?.close(command.sequence);
        return;
      default:
        command satisfies never;
    }
  }

  /** Takes a channel over; call it synchronously in the handler of the message that brought it. */
  accept(peer: string, attempt: number, end: RTCDataChannel | MessagePort): void {
    this.#links.accept(peer, attempt, end);
  }

  /** `accept` for a transport of any kind. */
  attach(peer: string, attempt: number, transport: Transport): void {
    this.#links.attach(peer, attempt, transport);
  }

  linkFailed(peer: string, error: WireError): void {
    for (const assignment of [...this.#assignments.values()])
      assignment.linkFailed(peer, ShoalError.from(error));
  }

  dropLink(peer: string): void {
    this.#links.drop(peer);
  }

  /** A new session gives new ids and may count epochs from the start again: nothing of the old one can be used. */
  endSession(): void {
    this.#dropAll();
    this.#links.close();
    for (const loopback of this.#loopbacks.values()) loopback.close();
    this.#loopbacks.clear();
  }

  /** Drops assignments, links and the device. `detect` may follow. */
  stop(): void {
    this.#lifetime.abort(new ShoalError('ABORTED', 'the worker was stopped'));
    this.endSession();
    const device = this.#device;
    this.#device = null;
    device?.destroy();
  }

  // — device ———————————————————————————————————————————————————————————————————————————————————

  async #takeDevice(): Promise<Capability> {
    const { signal } = this.#lifetime;
    const device = await this.#options.requestDevice(signal);
    if (signal.aborted) {
      device.destroy();
      throw new ShoalError('ABORTED', 'the worker was stopped while it looked for a device');
    }
    this.#device?.destroy();
    this.#device = device;
    void device.lost.then((error) => this.#deviceLost(device, error));
    return {
      ...device.capability,
      memoryBudgetBytes: this.#detectOptions?.memoryBudgetBytes ?? 0,
      userAgent: this.#options.userAgent,
    };
  }

  async #deviceLost(device: WorkerDevice, error: ShoalError): Promise<void> {
    if (this.#device !== device) return;
    this.#device = null;
    this.#dropAll();
    const { emit } = this.#options;
    emit({ type: 'device-lost', error: error.toWire() });
    try {
      emit({ type: 'device-found', capability: await this.#takeDevice() });
    } catch (thrown) {
      const failure = ShoalError.from(thrown, 'NO_ADAPTER');
      if (failure.code !== 'ABORTED') emit({ type: 'device-failed', error: failure.toWire() });
    }
  }

  // — assignments ——————————————————————————————————————————————————————————————————————————————

  #assign(message: AssignMessage): void {
    const { epoch } = message;
    try {
      if (this.#device === null) throw new ShoalError('DEVICE_LOST', 'this worker has no device; join again');
      if (this.#assignments.has(epoch)) {
        throw new ShoalError('PROTOCOL_INVALID', `epoch ${epoch} is assigned already; use a new number`);
      }
      if (this.#assignments.size >= MAX_ASSIGNMENTS) {
        throw new ShoalError(
          'OVERLOADED',
          `${this.#assignments.size} assignments are held, the bound is ${MAX_ASSIGNMENTS}; unassign older epochs first`,
        );
      }
      const assignment = new Assignment({
        message,
        serverUrl: this.#detectOptions?.serverUrl ?? '',
        isLinked: (peer) => this.#links.isOpen(peer),
        send: (peer, frame, hop) => this.#send(peer, frame, hop),
        tell: (told) => this.#tell(told),
        onFailed: (failed, error) => this.#assignmentFailed(failed, error),
        now: () => this.#options.timers.now(),
      });
      this.#assignments.set(epoch, assignment);
      if (assignment.neighbours.has(assignment.self)) this.#openLoopback(assignment.self);
      this.#loads = this.#loads.then(() => this.#load(assignment));
      this.#startStats();
    } catch (thrown) {
      this.#tell({ type: 'load-failed', epoch, error: ShoalError.from(thrown).toWire() });
    }
  }

  async #load(assignment: Assignment): Promise<void> {
    const device = this.#device;
    if (device === null) return;
    const budgetBytes = (this.#detectOptions?.memoryBudgetBytes ?? 0) - this.#gpuBytes();
    await assignment.load(device, budgetBytes);
  }

  #drop(epoch: number): void {
    const assignment = this.#assignments.get(epoch);
    if (assignment === undefined) return;
    assignment.close();
    this.#forget(assignment);
  }

  #dropAll(): void {
    for (const epoch of [...this.#assignments.keys()]) this.#drop(epoch);
  }

  #assignmentFailed(assignment: Assignment, error: ShoalError): void {
    this.#forget(assignment);
    // An error that nobody foresaw (a WebGPU validation error, say) leaves the device in doubt: get a fresh one.
    if (error.code === 'INTERNAL') this.#device?.destroy();
  }

  #forget(assignment: Assignment): void {
    if (this.#assignments.get(assignment.epoch) !== assignment) return;
    this.#assignments.delete(assignment.epoch);
    this.#tokensOfClosed += assignment.hop.summary().decodeRows;
    if (this.#assignments.size > 0) return;
    this.#cancelStats?.();
    this.#cancelStats = null;
    this.#report();
  }

  #refuseSequence(epoch: number, sequence: number): void {
    const error = new ShoalError(
      'EPOCH_STALE',
      `this worker serves no epoch ${epoch}; its pipeline was replaced`,
    );
    this.#tell({ type: 'sequence-failed', epoch, sequence, error: error.toWire() });
  }

  // — frames ———————————————————————————————————————————————————————————————————————————————————

  #route(peer: string, frame: Frame, unpackMs: number): void {
    const stage = this.#assignments.get(frame.epoch)?.stage;
    // Late frames of a pipeline that was replaced are no error of anyone's.
    if (stage === undefined || stage === null) return;
    stage.hop.unpacked(unpackMs, isDecode(frame));
    stage.receive(peer, frame);
  }

  async #send(peer: string, frame: Frame, hop: HopStats): Promise<void> {
    const link = this.#links.get(peer);
    if (link?.state !== 'open') throw new ShoalError('LINK_FAILED', `there is no open link to ${peer}`);
    const { timers } = this.#options;
    const startedMs = timers.now();
    const bytes = encodeFrame(frame);
    hop.packed(timers.now() - startedMs, bytes.byteLength, frame.entries.length, isDecode(frame));
    await link.sendEncoded(bytes);
  }

  /** A pipeline of one stage sends its tokens to itself, by the way all others go. */
  #openLoopback(self: string): void {
    if (this.#links.isOpen(self)) return;
    const [near, far] = MemoryTransport.pair();
    const loopback = new Link({
      peer: self,
      transport: far,
      timers: this.#options.timers,
      onFrame: (frame, unpackMs) => this.#route(self, frame, unpackMs),
      onDown: () => this.#loopbacks.delete(self),
    });
    this.#loopbacks.set(self, loopback);
    loopback.start();
    this.#links.attach(self, 1, near);
  }

  // — statistics ———————————————————————————————————————————————————————————————————————————————

  #startStats(): void {
    if (this.#cancelStats !== null) return;
    this.#lastUsage = { tokens: this.#tokens(), atMs: this.#options.timers.now() };
    const tick = (): void => {
      this.#cancelStats = this.#options.timers.after(STATS_INTERVAL_MS, tick);
      this.#report();
    };
    this.#cancelStats = this.#options.timers.after(STATS_INTERVAL_MS, tick);
  }

  #report(): void {
    const { emit, timers } = this.#options;
    const atMs = timers.now();
    const tokens = this.#tokens();
    const elapsedMs = atMs - this.#lastUsage.atMs;
    const tokensPerSecond = elapsedMs > 0 ? ((tokens - this.#lastUsage.tokens) * 1_000) / elapsedMs : 0;
    this.#lastUsage = { tokens, atMs };
    emit({ type: 'usage', tokensPerSecond, tokens, gpuBytes: this.#gpuBytes() });
    const serving = [...this.#assignments.values()].filter((assignment) => assignment.state === 'ready');
    if (serving.length === 0) return;
    let [bytesSent, bytesReceived] = [0, 0];
    const peers = new Set(serving.flatMap((assignment) => [...assignment.neighbours]));
    for (const peer of peers) {
      const stats = this.#links.get(peer)?.stats;
      bytesSent += stats?.bytesSent ?? 0;
      bytesReceived += stats?.bytesReceived ?? 0;
    }
    // The newest epoch is the one that gets new work.
    const newest = serving.reduce((a, b) => (b.epoch > a.epoch ? b : a));
    for (const peer of newest.neighbours) {
      const roundTrip = this.#links.get(peer)?.roundTrip;
      if (roundTrip !== null && roundTrip !== undefined) newest.hop.wireRtt(roundTrip.lastMs);
    }
    this.#tell({
      type: 'stats',
      tokensPerSecond,
      sequences: serving.reduce((sum, assignment) => sum + assignment.sequences, 0),
      bytesSent,
      bytesReceived,
      hop: newest.hop.summary().timings,
    });
  }

  #tokens(): number {
    let tokens = this.#tokensOfClosed;
    for (const assignment of this.#assignments.values()) tokens += assignment.hop.summary().decodeRows;
    return tokens;
  }

  #gpuBytes(): number {
    let bytes = 0;
    for (const assignment of this.#assignments.values()) bytes += assignment.gpuBytes;
    return bytes;
  }

  #tell(message: PeerMessage): void {
    this.#options.emit({ type: 'send', message });
  }
}

function isDecode(frame: Frame): boolean {
  return frame.kind !== 'ack' && frame.entries.every((entry) => entry.sample && entry.count === 1);
}
