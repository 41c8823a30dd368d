import type { MiddlewareHandler } from 'hono';
import { ShoalError } from '../../config/errors.ts';
import type { HostGuard } from './host-guard.ts';

/** Before anything of a request is looked at: whether it may be asked at all. Throws FORBIDDEN. */
export function refuseStrangers(guard: HostGuard): MiddlewareHandler {
  return async (c, next) => {
    const host = c.req.header('host') ?? new URL(c.req.url).host;
    if (!guard.allowsHost(host)) {
      throw new ShoalError(
        'FORBIDDEN',
        `this server does not answer to the name "${host.slice(0, 80)}"; use its address, or start it with --allow-host and the name`,
      );
    }
    // A foreign page could otherwise spend this machine's time: a POST of text/plain needs no preflight.
    const changes = c.req.method !== 'GET' && c.req.method !== 'HEAD';
    if (changes && !guard.allowsOrigin(c.req.header('origin'), host)) {
      throw new ShoalError('FORBIDDEN', 'pages of other origins may not use this server');
    }
    await next();
  };
}
