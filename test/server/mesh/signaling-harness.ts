import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHostGuard } from '../../../src/server/http/host-guard.ts';
import type { ControlOptions } from '../../../src/server/mesh/connections/control-connection.ts';
import { SIGNAL_PATH, Signaling } from '../../../src/server/mesh/connections/signaling.ts';
import { ControlHarness } from './control-harness.ts';

/** Signaling behind a real HTTP server, and a mesh that only notes what it is told. */
export class SignalingHarness extends ControlHarness {
  readonly #signaling: Signaling;
  readonly #server: Server = createServer();

  private constructor(options: Partial<ControlOptions>) {
    super(options);
    const guard = createHostGuard({ boundHost: '127.0.0.1', allowedOrigins: ['https://friend.example'] });
    this.#signaling = new Signaling({ ...this.options, guard });
    this.#server.on('upgrade', (...upgrade) => this.#signaling.upgrade(...upgrade));
  }

  static async start(options: Partial<ControlOptions> = {}): Promise<SignalingHarness> {
    const harness = new SignalingHarness(options);
    await new Promise<void>((resolve) => harness.#server.listen(0, '127.0.0.1', resolve));
    return harness;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}${SIGNAL_PATH}`;
  }

  async stop(): Promise<void> {
    this.registry.close();
    await this.#signaling.close();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}
