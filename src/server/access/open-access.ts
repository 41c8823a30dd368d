import type { Logger } from 'pino';
import { isLoopback } from '../http/host-guard.ts';
import { type Access, createAccess, type RefusalReason } from './access.ts';
import { KeyRing } from './key-ring.ts';

/** What an operator may set. */
export interface AccessSettings {
  /** api_keys.json; absent: no keys are needed. */
  readonly keyFile?: string;
  /** Of each key or address without a limit of its own. */
  readonly requestsPerMinute?: number;
  /** Answers at once, of each key or address without a limit of its own. */
  readonly concurrent?: number;
  /** Reverse proxies before this server, whose X-Forwarded-For counts. */
  readonly trustedProxies?: number;
}

export interface AccessContext {
  /** The address that the server is bound to. */
  readonly host: string;
  readonly now: () => number;
  readonly log: Logger;
  readonly onRefused?: (reason: RefusalReason) => void;
}

/** @throws CONFIG_INVALID with all that is wrong with the key file */
export function openAccess(settings: AccessSettings, context: AccessContext): Access {
  const { keyFile, ...limits } = settings;
  const { host, now, log, onRefused } = context;
  if (keyFile === undefined && !isLoopback(host)) {
    log.warn(
      `everyone who reaches ${host} may use the API; "shoal keys add NAME" and --api-keys FILE ask for keys`,
    );
  }
  return createAccess({
    ...limits,
    ...(keyFile !== undefined && { keys: new KeyRing({ file: keyFile, now, log }) }),
    ...(onRefused !== undefined && { onRefused }),
    now,
  });
}
