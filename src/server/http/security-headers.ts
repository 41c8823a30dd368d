import type { MiddlewareHandler } from 'hono';

/**
 * Nothing from elsewhere runs in the page or is fetched by it: it holds other people's prompts. `self` covers the
 * control WebSocket (CSP3 matches ws and wss of the same host). WebGPU needs no `wasm-unsafe-eval`, and without shared
 * memory no cross-origin isolation. Loopback is what the page's custom mode lends; other machines' endpoints are lent by
 * `shoal worker`, so that no page can be made to scan a network.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self' http://localhost:* http://127.0.0.1:*",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const securityHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  const { headers } = c.res;
  headers.set('content-security-policy', CONTENT_SECURITY_POLICY);
  headers.set('x-content-type-options', 'nosniff');
  headers.set('referrer-policy', 'no-referrer');
  headers.set('cross-origin-opener-policy', 'same-origin');
  // A site that the operator listed has been granted the answer by CORS.
  const isGranted = headers.has('access-control-allow-origin');
  headers.set('cross-origin-resource-policy', isGranted ? 'cross-origin' : 'same-origin');
};
