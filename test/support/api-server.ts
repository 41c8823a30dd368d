import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import OpenAI from 'openai';
import type { Backend } from '../../src/backend/backend.ts';
import { openAiErrorResponse } from '../../src/backend/openai/error.ts';
import { ShoalError } from '../../src/config/errors.ts';

export interface ApiServer {
  readonly baseURL: string;
  readonly client: OpenAI;
  close(): Promise<void>;
}

/** The smallest gateway: a real socket, so that hang-ups and back-pressure are real too. */
export async function serveApi(backend: () => Backend): Promise<ApiServer> {
  const app = new Hono();
  app.post('/v1/chat/completions', async (c) =>
    backend().chatCompletions(await c.req.json(), { signal: c.req.raw.signal }),
  );
  app.post('/v1/completions', async (c) =>
    backend().completions(await c.req.json(), { signal: c.req.raw.signal }),
  );
  app.get('/v1/models', async (c) => {
    const models = await backend().models(c.req.raw.signal);
    return c.json({
      object: 'list',
      data: models.map(({ id, created, ownedBy }) => ({ id, object: 'model', created, owned_by: ownedBy })),
    });
  });
  app.onError((thrown) => openAiErrorResponse(ShoalError.from(thrown)));
  const server = await new Promise<ReturnType<typeof serve>>((resolve) => {
    const listening = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () => resolve(listening));
  });
  const baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  return {
    baseURL,
    client: new OpenAI({ baseURL, apiKey: 'clients-own-key', maxRetries: 0 }),
    close: () =>
      new Promise((resolve) => {
        if ('closeAllConnections' in server) server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
