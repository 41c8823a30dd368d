import { Hono } from 'hono';
import type { Readiness } from '../backend/backend.ts';

/** How the server is, for who starts, balances and watches servers; without a key. */
export function healthRoutes(readiness: (signal: AbortSignal) => Promise<Readiness>): Hono {
  const routes = new Hono();
  // As llama.cpp and vLLM (`/health`) and SageMaker (`/ping`) are asked.
  for (const path of ['/health', '/v1/health', '/ping']) {
    routes.get(path, async (c) => healthResponse(await readiness(c.req.raw.signal)));
  }
  routes.get('/health/live', (c) => c.json({ live: true }));
  routes.get('/health/ready', async (c) => {
    const answer = await readiness(c.req.raw.signal);
    return c.json(answer, answer.ready ? 200 : 503, { 'cache-control': 'no-store' });
  });
  return routes;
}

/** llama.cpp's bodies: it is the one whose clients read them. */
function healthResponse({ ready, detail }: Readiness): Response {
  const headers = { 'cache-control': 'no-store' };
  return ready
    ? Response.json({ status: 'ok' }, { headers })
    : Response.json(
        { error: { code: 503, message: detail, type: 'unavailable_error' } },
        { status: 503, headers },
      );
}
