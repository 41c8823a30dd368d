/**
 * `fetch` for proxied requests, under Node: it connects only to addresses that the operator has allowed. A name is resolved
 * once, every address it gives is judged, and the connection goes to one that was judged, so that a name which answers
 * differently the second time (DNS rebinding) gains nothing.
 */
import { type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns';
import { Agent, buildConnector } from 'undici';
import { type AddressClass, classifyAddress, literalAddress, matchesCidr } from '../../config/addresses.ts';
import { ShoalError } from '../../config/errors.ts';
import { MAX_UPSTREAM_CONNECTIONS } from '../../config/limits.ts';
import { createDispatchedFetch } from './dispatched-fetch.ts';
import { skippingContinue } from './interim-answers.ts';
import type { UpstreamFetch } from './upstream-fetch.ts';

export interface GuardedFetchOptions {
  /** Addresses and ranges that are not public and may be connected to: `allow_addresses` of model_backend.yaml. */
  readonly allowAddresses: readonly string[];
  readonly connectMs: number;
  /** Default: the system's. */
  readonly resolve?: Resolve;
}

/** `dns.lookup` with `all`. */
export type Resolve = (
  hostname: string,
  options: LookupOptions & { readonly all: true },
  callback: (error: Error | null, addresses: LookupAddress[]) => void,
) => void;

export interface GuardedFetch {
  readonly fetch: UpstreamFetch;
  /** Closes idle connections and ends those in use. Idempotent. */
  close(): Promise<void>;
}

/**
 * Errors are those of `fetch`: ADDRESS_REFUSED is somewhere in the chain of causes.
 */
export function createGuardedFetch({
  allowAddresses,
  connectMs,
  resolve = systemLookup,
}: GuardedFetchOptions): GuardedFetch {
  const judge = (hostname: string, address: string): AddressClass | null => {
    const kind = classifyAddress(address);
    if (kind === 'public' || allowAddresses.some((range) => matchesCidr(address, range))) return null;
    return kind === 'loopback' && isWrittenAsLoopback(hostname) ? null : kind;
  };

  const lookup = (
    hostname: string,
    options: LookupOptions,
    done: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
  ) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, []);
      const refused = addresses.map(({ address }) => judge(hostname, address));
      const allowed = addresses.filter((_, index) => refused[index] === null);
      const first = allowed[0];
      if (first === undefined) return done(refusal(hostname, addresses[0]?.address, refused[0]), []);
      if (options.all) done(null, allowed);
      else done(null, first.address, first.family);
    });
  };

  const agent = new Agent({
    connect: skippingContinue(buildConnector({ lookup: lookup as never, timeout: connectMs })),
    connections: MAX_UPSTREAM_CONNECTIONS,
    pipelining: 1,
    // The caller has deadlines of its own, which know a first event from a header.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const request = createDispatchedFetch(agent);
  const guarded: UpstreamFetch = async (url, init) => {
    const { hostname } = new URL(url);
    const literal = literalAddress(hostname);
    // No lookup is made for an address.
    const refused = literal === null ? null : judge(hostname, literal);
    if (refused !== null) throw refusal(hostname, literal!, refused);
    return request(url, init);
  };

  let closing: Promise<void> | undefined;
  return {
    fetch: guarded,
    close: () => {
      closing ??= agent.destroy();
      return closing;
    },
  };
}

/** Whoever writes this into the config means this machine; a name that merely leads here may not be what it seems. */
const isWrittenAsLoopback = (hostname: string) =>
  /^localhost\.?$/.test(hostname) || /^127\.\d+\.\d+\.\d+$/.test(hostname) || hostname === '[::1]';

function refusal(
  hostname: string,
  address: string | undefined,
  kind: AddressClass | null | undefined,
): ShoalError {
  if (address === undefined || kind === null || kind === undefined) {
    return new ShoalError('BACKEND_FAILED', `${hostname} has no address; check url in model_backend.yaml`);
  }
  const is = address === hostname.replace(/^\[(.*)\]$/, '$1') ? 'is' : `leads to ${address},`;
  return new ShoalError(
    'ADDRESS_REFUSED',
    `${hostname} ${is} ${NAMES[kind]}; if this is meant, add it to model_backend.yaml: allow_addresses: ["${address}"]`,
  );
}

const NAMES: Record<AddressClass, string> = {
  loopback: 'a loopback address (this machine)',
  private: 'a private address',
  'link-local': 'a link-local address',
  metadata: 'a cloud metadata address, which hands out credentials',
  unspecified: 'the unspecified address',
  multicast: 'a multicast address',
  public: 'a public address',
};
