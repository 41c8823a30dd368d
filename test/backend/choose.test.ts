import { describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backend/backend.ts';
import { chooseBackend } from '../../src/backend/choose.ts';
import { parseModelBackend } from '../../src/config/model-backend.ts';

const choose = (source: string, startFxn: () => Backend) =>
  chooseBackend(parseModelBackend(source, 'mb.yaml'), startFxn);
const noFxn = () => {
  throw new Error('the native engine must not start');
};

describe('chooseBackend', () => {
  it('starts the native engine for fxn', async () => {
    const fxn = {} as Backend;
    expect(await choose('', () => fxn)).toBe(fxn);
  });

  it('forwards for custom, and starts no engine', async () => {
    const backend = await choose('backend_provider: custom\nurl: "http://127.0.0.1:1"', noFxn);
    expect(backend.provider).toBe('custom');
  });

  it.each(['vllm', 'ollama'])('says what works today instead of %s', async (provider) => {
    await expect(choose(`backend_provider: ${provider}`, noFxn)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      param: 'backend_provider',
      message: expect.stringMatching(/later version; today use "custom"/),
    });
  });
});
