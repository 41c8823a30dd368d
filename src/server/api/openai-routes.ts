/** The OpenAI-compatible API, whatever backend stands behind it. */
import { Hono } from 'hono';
import type { Backend, ModelInfo } from '../../backend/backend.ts';
import { modelHint } from '../../backend/model-hint.ts';
import { ShoalError } from '../../config/errors.ts';
import type { Answering } from './answering.ts';

/** Routes below `/v1`. */
export function openAiRoutes(backend: Backend, answering: Answering): Hono {
  const app = new Hono();
  app.post('/chat/completions', (c) => answering(c, (...call) => backend.chatCompletions(...call)));
  app.post('/completions', (c) => answering(c, (...call) => backend.completions(...call)));
  app.get('/models', async (c) => {
    const models = await backend.models(c.req.raw.signal);
    return c.json({ object: 'list', data: models.map(modelObject) });
  });
  // A model's id may hold slashes (`org/name`).
  app.get('/models/:id{.+}', async (c) => {
    const id = c.req.param('id');
    const models = await backend.models(c.req.raw.signal);
    const model = models.find((candidate) => candidate.id === id);
    if (model === undefined) {
      const known = models.map((candidate) => candidate.id);
      const what = `no model "${id.slice(0, 80)}" here${modelHint(id, known)}`;
      throw new ShoalError('MODEL_NOT_FOUND', what, { param: 'model' });
    }
    return c.json(modelObject(model));
  });
  return app;
}

const modelObject = ({ id, created, ownedBy, details = {} }: ModelInfo) => {
  const { contextLength, trainedContextLength = contextLength } = details;
  const meta = {
    n_ctx_train: trainedContextLength,
    n_vocab: details.vocabSize,
    n_embd: details.embeddingLength,
    n_params: details.parameters,
    size: details.sizeBytes,
  };
  const isKnown = Object.values(meta).some((value) => value !== undefined);
  return {
    id,
    object: 'model',
    created,
    owned_by: ownedBy,
    ...(contextLength !== undefined && { max_model_len: contextLength }),
    ...(isKnown && { meta }),
  };
};
