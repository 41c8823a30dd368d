/**
 * Who may speak to the server, judged by the Host and Origin headers. CORS does not cover WebSockets, and a page of a
 * stranger can point its own name at this machine's address (DNS rebinding), in the LAN as well as on loopback: then
 * only the Host header tells. An address cannot be rebound, nor a name that only this network resolves.
 */
import { isIP } from 'node:net';
import { hostname } from 'node:os';

export interface HostGuard {
  /** Whether the server answers to this Host header. */
  allowsHost(host: string | undefined): boolean;
  /** Whether a request with this Origin header may open a WebSocket or change something. No Origin: not a browser. */
  allowsOrigin(origin: string | undefined, host: string | undefined): boolean;
  /** Whether the operator listed this origin, so that its pages may read answers too (CORS). */
  isListedOrigin(origin: string | undefined): boolean;
}

export interface HostGuardOptions {
  /** The address that the server is bound to. */
  readonly boundHost: string;
  /** Further names that the server is reached by, e.g. behind a reverse proxy; without port. */
  readonly allowedHosts?: readonly string[];
  /** Names of this machine, which a server on the network answers to; default: the one it calls itself. */
  readonly ownNames?: readonly string[];
  /** Further origins whose pages may use the server, e.g. `https://example.org`. */
  readonly allowedOrigins?: readonly string[];
}

const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]']);

export function isLoopback(host: string): boolean {
  return LOOPBACK_NAMES.has(host) || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

export function createHostGuard(options: HostGuardOptions): HostGuard {
  const { boundHost, allowedHosts = [], allowedOrigins = [], ownNames = [hostname()] } = options;
  const isOnNetwork = !isLoopback(boundHost);
  const listed = [boundHost, ...allowedHosts, ...(isOnNetwork ? ownNames : [])];
  const names = new Set([...LOOPBACK_NAMES, ...listed.map((name) => name.toLowerCase())]);
  // `https://example.org/` is how people copy it; a browser's header has no slash.
  const origins = new Set(allowedOrigins.map((origin) => origin.toLowerCase().replace(/\/$/, '')));
  return {
    allowsHost(host) {
      if (host === undefined) return false;
      const name = hostName(host);
      if (name === null) return false;
      if (names.has(name) || name.endsWith('.localhost')) return true;
      // Multicast DNS answers for `.local`, which no domain of a stranger can be.
      return isOnNetwork && (isIP(name.replace(/^\[|\]$/g, '')) !== 0 || name.endsWith('.local'));
    },
    allowsOrigin(origin, host) {
      if (origin === undefined) return true;
      if (origins.has(origin)) return true;
      // Scheme apart: behind a proxy that ends TLS the page is https and this server is not.
      return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
    },
    isListedOrigin: (origin) => origin !== undefined && origins.has(origin),
  };
}

/** `[::1]:8080` → `[::1]`; null for what is no host. */
function hostName(host: string): string | null {
  const url = `http://${host}`;
  return URL.canParse(url) ? new URL(url).hostname : null;
}
