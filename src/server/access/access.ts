/** Who may use the API, and how much of it: keys where there are any, and limits for each key or address. */
import type { HttpBindings } from '@hono/node-server';
import type { Context, MiddlewareHandler } from 'hono';
import { ShoalError } from '../../config/errors.ts';
import {
  DEFAULT_CONCURRENT_PER_CLIENT,
  DEFAULT_REQUESTS_PER_MINUTE,
  REFUSED_KEYS_PER_MINUTE,
} from '../../config/limits.ts';
import { IDEMPOTENCY_KEY_HEADER } from '../answers/idempotency-key.ts';
import { isLoopback } from '../http/host-guard.ts';
import { addressGroup, clientAddress } from './client-address.ts';
import type { KeyInfo, KeyRing } from './key-ring.ts';
import { RequestRates } from './request-rates.ts';
import { type Places, RunningRequests } from './running-requests.ts';

export interface AccessOptions {
  /** Absent: everyone who reaches the server may use it. */
  readonly keys?: KeyRing;
  /** Of every client that has no limit of its own; absent: the default, and none for loopback without keys. */
  readonly requestsPerMinute?: number;
  readonly concurrent?: number;
  /** Reverse proxies whose X-Forwarded-For counts; default 0. */
  readonly trustedProxies?: number;
  readonly now: () => number;
  readonly onRefused?: (reason: RefusalReason) => void;
}

export type RefusalReason = 'unauthorized' | 'rate' | 'concurrency';

/** The `env` of a request that this process makes of itself: the operator's own. No socket can bring it. */
export const IN_PROCESS = { inProcess: true } as const;

export interface Access {
  /**
   * Whether who presents this key may lend a backend: everyone, where there are no keys. A key for the API alone is not
   * enough, for a lender sees other clients' prompts and writes their answers.
   */
  mayLend(key: string): boolean;
  /** Refuses with 401 what has no valid key, where there are keys. */
  readonly requireKey: MiddlewareHandler;
  /** Refuses with 429 what a client may not have now; counts the answers that it has until its exchange ends. */
  readonly limitUse: MiddlewareHandler;
  /** Reads the key file now (SIGHUP). */
  reload(): void;
}

export function createAccess(options: AccessOptions): Access {
  const { keys, trustedProxies = 0, now, onRefused = () => {} } = options;
  const keyRates = new RequestRates(now);
  const addressRates = new RequestRates(now);
  const refusedKeys = new RequestRates(now);
  const running = new RunningRequests();

  const addressOf = (c: Context) => {
    const { incoming } = (c.env ?? {}) as Partial<HttpBindings>;
    const socketAddress = incoming?.socket?.remoteAddress ?? 'unknown';
    return clientAddress(socketAddress, c.req.header('x-forwarded-for'), trustedProxies);
  };
  const isInProcess = (c: Context) => (c.env as Partial<typeof IN_PROCESS> | undefined)?.inProcess === true;
  const refuse = (reason: RefusalReason, error: unknown): never => {
    onRefused(reason);
    throw error;
  };
  const attempt = <T>(reason: RefusalReason, act: () => T): T => {
    try {
      return act();
    } catch (error) {
      return refuse(reason, error);
    }
  };

  /** What this request is counted as and held to; null: not limited. */
  const clientOf = (c: Context) => {
    const key = c.get('apiKey');
    if (key !== undefined) {
      const { name, requestsPerMinute, concurrent } = key;
      return {
        client: `key ${name}`,
        rates: keyRates,
        perMinute: requestsPerMinute ?? options.requestsPerMinute ?? DEFAULT_REQUESTS_PER_MINUTE,
        concurrent: concurrent ?? options.concurrent ?? DEFAULT_CONCURRENT_PER_CLIENT,
      };
    }
    const address = addressOf(c);
    // Programs on this machine: a bench or an agent may do what it likes unless the operator says otherwise.
    const isLocal = isLoopback(address);
    return {
      client: `address ${addressGroup(address)}`,
      rates: addressRates,
      perMinute: options.requestsPerMinute ?? (isLocal ? null : DEFAULT_REQUESTS_PER_MINUTE),
      concurrent: options.concurrent ?? (isLocal ? null : DEFAULT_CONCURRENT_PER_CLIENT),
    };
  };

  return {
    mayLend: (key) => keys === undefined || keys.authorize(key)?.lend === true,
    reload: () => keys?.reload(),

    async requireKey(c, next) {
      if (keys === undefined || isInProcess(c)) return next();
      const presented = presentedKey(c);
      const info = presented === undefined ? null : keys.authorize(presented);
      if (info === null) {
        attempt('rate', () =>
          refusedKeys.take(
            addressGroup(addressOf(c)),
            REFUSED_KEYS_PER_MINUTE,
            'requests without a valid key',
          ),
        );
        return refuse(
          'unauthorized',
          new ShoalError(
            'UNAUTHORIZED',
            presented === undefined
              ? 'this server needs an API key; send it as "Authorization: Bearer KEY"'
              : 'this API key is not valid here; ask the operator for one',
          ),
        );
      }
      c.set('apiKey', info);
      c.get('exchange').keyName = info.name;
      return next();
    },

    async limitUse(c, next) {
      const exchange = c.get('exchange');
      if (isInProcess(c)) {
        exchange.client = 'this process';
        return next();
      }
      const { client, rates, perMinute, concurrent } = clientOf(c);
      exchange.client = client;
      if (concurrent !== null) {
        let places: Places | null = null;
        const begin = () => {
          if (places !== null) return places;
          places = attempt('concurrency', () => running.begin(client, concurrent));
          exchange.onEnd(places.end);
          return places;
        };
        // One that goes on reading an answer of his takes no place beside the one that it has: at his bound he could not.
        const mayResume = c.req.method === 'POST' && c.req.header(IDEMPOTENCY_KEY_HEADER) !== undefined;
        if (!mayResume) begin();
        exchange.claim = (answers) => attempt('concurrency', () => begin().grow(answers));
      }
      if (perMinute !== null) attempt('rate', () => rates.take(client, perMinute));
      return next();
    },
  };
}

/** OpenAI's way, or the one that Anthropic's and Azure's clients know. */
function presentedKey(c: Context): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(c.req.header('authorization') ?? '')?.[1];
  return bearer ?? c.req.header('x-api-key');
}

declare module 'hono' {
  interface ContextVariableMap {
    apiKey: KeyInfo | undefined;
  }
}
