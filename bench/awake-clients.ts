/**
 * The hostile clients of the bench, a process of their own, so that what they send costs the probes nothing. Each has an
 * address of its own (X-Forwarded-For), and another with each order, so that the limit of requests a minute does not end an
 * attack that the one before has used up.
 */
import { setMaxListeners } from 'node:events';
import { Agent, request } from 'node:http';
import { ATTACKS, type Attack } from './awake-attacks.ts';

export interface Orders {
  readonly url: string;
  /** By their places in ATTACKS. */
  readonly attacks: readonly number[];
  readonly clients: number;
  /** Between two requests of one client; 0: one after the other. */
  readonly pauseMs: number;
  /** Each second request is a small one that the engine answers. */
  readonly asksToo: boolean;
  readonly seconds: number;
}

export interface Outcome {
  /** Answers by status. */
  readonly statuses: Record<string, number>;
}

const agent = new Agent({ keepAlive: true });
let orderCount = 0;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const SMALL: Attack = {
  name: 'a small question',
  path: '/v1/completions',
  body: JSON.stringify({ model: 'bench', prompt: 'Fish', max_tokens: 8, stream: true, ignore_eos: true }),
};

function send(url: string, { path, body }: Attack, client: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const sent = request(
      `${url}${path}`,
      {
        method: body === undefined ? 'GET' : 'POST',
        agent,
        signal,
        headers: {
          'x-forwarded-for': `198.18.${orderCount}.${client}`,
          ...(body !== undefined && {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
          }),
        },
      },
      (response) => {
        response.resume().on('close', () => resolve(String(response.statusCode)));
      },
    );
    sent.on('error', () => resolve(signal.aborted ? 'unfinished' : 'broken'));
    sent.end(body);
  });
}

process.on('message', async (orders: Orders) => {
  orderCount++;
  const statuses: Record<string, number> = {};
  const over = AbortSignal.timeout(orders.seconds * 1_000);
  setMaxListeners(0, over);
  const run = async (client: number) => {
    await sleep((orders.pauseMs * client) / orders.clients);
    for (let turn = client; !over.aborted; turn++) {
      const asks = orders.asksToo && turn % 2 === 0;
      const attack = asks ? SMALL : ATTACKS[orders.attacks[turn % orders.attacks.length]!]!;
      const status = await send(orders.url, attack, client + 1, over);
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (orders.pauseMs > 0) await sleep(orders.pauseMs);
    }
  };
  await Promise.all(Array.from({ length: orders.clients }, (_, client) => run(client)));
  process.send?.({ statuses } satisfies Outcome);
});
process.send?.('ready');
