import { describe, expect, it } from 'vitest';
import type { ProxyConfig } from '../../src/config/backend-config.ts';
import { checkEndpoint, type EndpointEnvironment } from '../../src/page/endpoint-check.ts';
import { EMPTY_FORM, readForm } from '../../src/page/endpoint-form.ts';
import { describeProblem } from '../../src/page/endpoint-problem.ts';

const form = (changes: Partial<typeof EMPTY_FORM> = {}): ProxyConfig => {
  const { config } = readForm({
    ...EMPTY_FORM,
    provider: 'custom',
    url: 'http://localhost:8080',
    ...changes,
  });
  if (config === null) throw new Error('the form is not valid');
  return config;
};
const list = { data: [{ id: 'a', object: 'model', created: 1, owned_by: 'me' }] };
const blocked = () => Promise.reject(new TypeError('Failed to fetch'));

/** A browser in which requests with CORS and without it end so. */
function browser(
  cors: () => Promise<Response>,
  noCors: () => Promise<Response>,
  changes: Partial<EndpointEnvironment> = {},
): EndpointEnvironment & { readonly sent: RequestInit[] } {
  const sent: RequestInit[] = [];
  return {
    sent,
    fetch: async (_input, init = {}) => {
      sent.push(init);
      return init.mode === 'no-cors' ? noCors() : cors();
    },
    isSecureContext: true,
    pageOrigin: 'http://127.0.0.1:8787',
    isWebKit: false,
    loopbackPermission: async () => null,
    ...changes,
  };
}

const check = (environment: EndpointEnvironment, config = form()) =>
  checkEndpoint(config, environment, new AbortController().signal);

describe('checking an endpoint', () => {
  it('lists its models, whatever alias was chosen before, by a request that has to be preflighted', async () => {
    const environment = browser(async () => Response.json(list), blocked);
    expect(await check(environment, form({ model: 'b', alias: 'c', key: 'sk-1' }))).toEqual({
      ok: true,
      models: ['a'],
    });
    expect(environment.sent[0]!.headers).toMatchObject({
      'content-type': 'application/json',
      authorization: 'Bearer sk-1',
    });
    expect(environment.sent[0]!.headers).not.toHaveProperty('x-api-key');
  });

  it.each([
    ['an opaque answer: CORS', 'cors', async () => new Response(), {}],
    ['none: not running', 'unreachable', blocked, {}],
    ['none on an insecure page', 'insecure-page', blocked, { isSecureContext: false }],
    [
      'none, and the permission was refused',
      'permission',
      blocked,
      { loopbackPermission: async () => 'denied' },
    ],
    [
      'none in Safari over https',
      'mixed-content',
      blocked,
      { pageOrigin: 'https://shoal.example', isWebKit: true },
    ],
    ['none in Chrome over https', 'unreachable', blocked, { pageOrigin: 'https://shoal.example' }],
  ] as const)('%s', async (_what, kind, noCors, changes) => {
    expect(await check(browser(blocked, noCors, changes))).toEqual({ ok: false, problem: { kind } });
  });

  it('waits for the person whom the browser asks before it lists anything', async () => {
    const order: (string | undefined)[] = [];
    const environment = browser(
      async () => Response.json(list),
      async () => new Response(),
      { loopbackPermission: async () => 'prompt' },
    );
    await check({
      ...environment,
      fetch: (input, init) => {
        order.push(init?.mode);
        return environment.fetch(input, init);
      },
    });
    expect(order).toEqual(['no-cors', undefined]);
  });

  it('repeats what the endpoint itself said', async () => {
    const environment = browser(
      async () => Response.json({ error: { message: 'who are you?' } }, { status: 401 }),
      blocked,
    );
    const result = await check(environment);
    expect(result).toMatchObject({ ok: false, problem: { kind: 'answer', message: expect.any(String) } });
    expect(JSON.stringify(result)).not.toContain('model_backend.yaml');
    expect(environment.sent).toHaveLength(1);
  });

  it('asks nobody beyond this device', async () => {
    const environment = browser(blocked, blocked);
    expect(await check(environment, form({ url: 'https://example.org' }))).toMatchObject({
      problem: { kind: 'elsewhere' },
    });
    expect(environment.sent).toEqual([]);
  });

  it('does not lend a server to itself', async () => {
    const environment = browser(async () => Response.json(list), blocked);
    expect(await check(environment, form({ url: 'http://localhost:8787/v1' }))).toMatchObject({
      problem: { kind: 'own-server' },
    });
  });
});

describe('the form', () => {
  it('means what the same fields mean in model_backend.yaml', () => {
    expect(readForm({ ...EMPTY_FORM }).config).toMatchObject({
      provider: 'ollama',
      nodes: [{ url: 'http://localhost:11434', maxConcurrent: 4 }],
    });
    const { config } = readForm({ ...EMPTY_FORM, provider: 'vllm', model: 'org/big', alias: ' big ' });
    expect(config).toMatchObject({ fxnId: 'big', nodes: [{ modelNameAlias: 'org/big' }] });
    expect(readForm({ ...EMPTY_FORM, model: 'm' }).config).toMatchObject({ fxnId: 'm' });
  });

  it('says of an address of the network that a page cannot lend it, and nothing of a file that it has not', async () => {
    const environment = browser(blocked, blocked);
    for (const url of ['http://192.168.1.4:8082', 'http://[fd00::4]:8082']) {
      const found = await checkEndpoint(form({ url }), environment, AbortSignal.timeout(1_000));
      expect(found).toEqual({ ok: false, problem: { kind: 'elsewhere' } });
    }
  });

  it('names each fault at its field', () => {
    const { faults } = readForm({ ...EMPTY_FORM, url: 'ftp://x', key: 'a b', maxConcurrent: 'many' });
    expect(Object.keys(faults ?? {}).sort()).toEqual(['key', 'maxConcurrent', 'url']);
    expect(readForm({ ...EMPTY_FORM, provider: 'custom' }).faults).toMatchObject({
      url: 'give its address, such as http://127.0.0.1:8080',
    });
  });
});

describe('what is said of a problem', () => {
  it.each([
    ['ollama', 'OLLAMA_ORIGINS=https://shoal.example ollama serve'],
    ['vllm', `vllm serve MODEL --allowed-origins '["https://shoal.example"]'`],
    ['custom', 'llama-server --cors-origins https://shoal.example'],
  ] as const)('CORS of %s: the setting to change', (provider, command) => {
    const { what, remedies } = describeProblem(
      { kind: 'cors' },
      provider,
      'http://localhost:1/v1',
      'https://shoal.example',
    );
    expect(what).toContain('http://localhost:1 answers, but does not allow this page');
    expect(remedies.map((remedy) => remedy.command)).toContain(command);
  });
});
