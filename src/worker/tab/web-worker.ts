import { type Remote, wrap } from 'comlink';
import { ShoalError } from '../../config/errors.ts';
import type { AcceptMessage, DetectOptions, WorkerApi, WorkerCommand, WorkerEvent } from '../worker-api.ts';
import type { TabWorker } from './tab-worker.ts';

/** A browser's Web Worker: comlink for calls, a port for events, plain messages for channels. */
export class WebWorker implements TabWorker {
  readonly #api: Remote<WorkerApi>;
  readonly #worker: Worker;
  readonly #events: MessagePort;

  constructor(worker: Worker, onEvent: (event: WorkerEvent) => void, onCrash: (error: ShoalError) => void) {
    this.#worker = worker;
    this.#api = wrap<WorkerApi>(worker);
    const { port1, port2 } = new MessageChannel();
    this.#events = port1;
    port1.onmessage = ({ data }: MessageEvent<WorkerEvent>) => onEvent(data);
    worker.onerror = (event) => {
      onCrash(
        new ShoalError(
          'INTERNAL',
          `the worker failed: ${event.message || 'it did not load'}; reload the page`,
        ),
      );
    };
    worker.postMessage({ type: 'events', port: port2 }, [port2]);
  }

  detect(options: DetectOptions) {
    return this.#api.detect(options);
  }

  command(command: WorkerCommand): void {
    void this.#api.command(command);
  }

  report(id: number): void {
    void this.#api.report(id);
  }

  server(isThere: boolean): void {
    void this.#api.server(isThere);
  }

  dropLink(peer: string): void {
    void this.#api.dropLink(peer);
  }

  tellLink(peer: string): void {
    void this.#api.tellLink(peer);
  }

  endSession(): void {
    void this.#api.endSession();
  }

  /** comlink would turn what `postMessage` throws into a rejection. */
  accept(peer: string, attempt: number, end: RTCDataChannel | MessagePort): void {
    const message: AcceptMessage = { type: 'accept', peer, attempt, end };
    // lib.dom's Transferable lacks RTCDataChannel, which has been one since 2023.
    this.#worker.postMessage(message, [end as unknown as Transferable]);
  }

  stop(): Promise<void> {
    return this.#api.stop();
  }

  terminate(): void {
    this.#events.onmessage = null;
    this.#events.close();
    this.#worker.onerror = null;
    this.#worker.terminate();
  }
}
