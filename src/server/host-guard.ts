/**
 * Who may speak to the server, judged by the Host and Origin headers. CORS does not cover WebSockets, and a page of a
 * stranger can point its own name at 127.0.0.1 (DNS rebinding): then only the Host header tells.
 */

export interface HostGuard {
  /** Whether the server answers to this Host header. */
  allowsHost(host: string | undefined): boolean;
  /** Whether a request with this Origin header may open a WebSocket or change something. No Origin: not a browser. */
  allowsOrigin(origin: string | undefined, host: string | undefined): boolean;
}

export interface HostGuardOptions {
  /** The address that the server is bound to. */
  readonly boundHost: string;
  /** Further names that the server is reached by, e.g. behind a reverse proxy; without port. */
  readonly allowedHosts?: readonly string[];
  /** Further origins whose pages may use the server, e.g. `https://example.org`. */
  readonly allowedOrigins?: readonly string[];
}

const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]']);

export function isLoopback(host: string): boolean {
  return LOOPBACK_NAMES.has(host) || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

export function createHostGuard(options: HostGuardOptions): HostGuard {
  const { boundHost, allowedHosts = [], allowedOrigins = [] } = options;
  const names = new Set([...LOOPBACK_NAMES, boundHost, ...allowedHosts]);
  return {
    allowsHost(host) {
      if (host === undefined) return false;
      // Bound to the network, the operator chose to be reached by whatever name leads here.
      if (!isLoopback(boundHost)) return true;
      const name = hostName(host);
      return name !== null && (names.has(name) || name.endsWith('.localhost'));
    },
    allowsOrigin(origin, host) {
      if (origin === undefined) return true;
      if (allowedOrigins.includes(origin)) return true;
      // Scheme apart: behind a proxy that ends TLS the page is https and this server is not.
      return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
    },
  };
}

/** `[::1]:8080` → `[::1]`; null for what is no host. */
function hostName(host: string): string | null {
  const url = `http://${host}`;
  return URL.canParse(url) ? new URL(url).hostname : null;
}
