import { PeerConnector } from '../../../src/mesh/peer-connector.ts';
import { systemTimers } from '../../../src/mesh/timers.ts';
import type { FromWorker, ToWorker } from './messages.ts';

declare global {
  interface Window {
    /** Puppeteer's: hands a signal to the test, which hands it to the other tab. */
    relaySignal(to: string, attempt: number, data: unknown): void;
    tab: TestTab;
  }
}

const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });

class TestTab {
  readonly log: FromWorker[] = [];
  readonly failures: string[] = [];
  transferred = 0;
  relayed = 0;
  private connector: PeerConnector | null = null;
  private waiting: (() => void)[] = [];

  constructor() {
    worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
      this.log.push(data);
      for (const wake of this.waiting.splice(0)) wake();
    });
  }

  identify(self: string, refuseTransfer: boolean): void {
    this.connector = new PeerConnector({
      self,
      iceServers: [],
      timers: systemTimers,
      sendSignal: (to, attempt, data) => window.relaySignal(to, attempt, data),
      onFailed: (_peer, reason) => this.failures.push(reason.message),
      deliver: (peer, attempt, end) => {
        if (end instanceof RTCDataChannel && refuseTransfer) {
          // What Chrome before 130 does.
          throw new DOMException('could not be cloned', 'DataCloneError');
        }
        worker.postMessage({ type: 'channel', peer, attempt, end } satisfies ToWorker, [end]);
        if (end instanceof MessagePort) this.relayed += 1;
        else this.transferred += 1;
      },
    });
  }

  connect(peer: string): void {
    this.connector!.connect(peer);
  }

  drop(peer: string): void {
    this.connector!.drop(peer);
  }

  signal(from: string, attempt: number, data: unknown): void {
    this.connector!.signal(from, attempt, data);
  }

  echo(peer: string, payloadBytes: number[]): void {
    worker.postMessage({ type: 'echo', peer, payloadBytes } satisfies ToWorker);
  }

  /** The next message of this type that nobody took yet. */
  async next(type: FromWorker['type']): Promise<FromWorker> {
    for (;;) {
      const index = this.log.findIndex((message) => message.type === type);
      if (index >= 0) return this.log.splice(index, 1)[0]!;
      await new Promise<void>((wake) => this.waiting.push(wake));
    }
  }

  /** Keeps the main thread busy 80 ms of every 100, until the returned number is cleared. */
  jank(): number {
    return window.setInterval(() => {
      const until = performance.now() + 80;
      while (performance.now() < until);
    }, 100);
  }

  /** Stands still until the server answers; nothing on the main thread runs meanwhile. */
  standStill(url: string): string {
    const request = new XMLHttpRequest();
    request.open('GET', url, false);
    request.send();
    return request.responseText;
  }
}

window.tab = new TestTab();
