import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { ProxyConfig } from '../config/backend-config.ts';
import { browserEnvironment } from './contributor-environment.ts';
import { browserEndpointEnvironment, checkEndpoint, type EndpointCheck } from './endpoint-check.ts';
import { EMPTY_FORM, type EndpointForm, type FormField, readForm, URL_HINTS } from './endpoint-form.ts';
import { Fact } from './fact.tsx';
import { Field } from './field.tsx';
import { Lender, type LenderPhase, type LenderState, NOT_LENDING } from './lender.ts';
import { ProblemNotice } from './problem-notice.tsx';
import { You } from './you.tsx';

const PROVIDERS: readonly (readonly [ProxyConfig['provider'], string])[] = [
  ['ollama', 'Ollama'],
  ['vllm', 'vLLM'],
  ['custom', 'OpenAI-compatible'],
];

/** The card's other mode: lends what a server on this machine serves, through this page. */
export function LendEndpoint({ name }: { readonly name: string }) {
  const form = useSignal<EndpointForm>(EMPTY_FORM);
  const faults = useSignal<Readonly<Partial<Record<FormField, string>>>>({});
  const checking = useSignal(false);
  const check = useSignal<{ readonly of: ProxyConfig; readonly result: EndpointCheck } | null>(null);
  const serverKey = useSignal('');
  const state = useSignal<LenderState>(NOT_LENDING);
  const lender = useMemo(
    () =>
      new Lender({
        serverUrl: location.origin,
        name,
        environment: browserEnvironment(),
        fetch: (...request) => fetch(...request),
        onState: (next) => {
          state.value = next;
        },
      }),
    [name],
  );
  useEffect(() => () => lender.close(), [lender]);

  const { phase, models, error } = state.value;
  const idle = phase === 'idle' || phase === 'failed';
  const found = check.value?.result.ok ? check.value.result.models : null;
  const change = (changes: Partial<EndpointForm>) => {
    form.value = { ...form.value, ...changes };
    faults.value = {};
  };
  /** What was found is of another endpoint now. */
  const moved = (changes: Partial<EndpointForm>) => {
    change({ model: '', alias: '', ...changes });
    check.value = null;
  };
  const read = () => {
    const { config, faults: found } = readForm(form.value);
    faults.value = found ?? {};
    return config;
  };
  const runCheck = async () => {
    const config = read();
    if (config === null || checking.value) return;
    checking.value = true;
    const asked = form.value;
    const result = await checkEndpoint(config, browserEndpointEnvironment(), AbortSignal.timeout(CHECK_MS));
    checking.value = false;
    const isSame =
      asked.url === form.value.url && asked.key === form.value.key && asked.provider === form.value.provider;
    if (isSame) check.value = { of: config, result };
  };
  const lend = () => {
    const config = read();
    if (config !== null) lender.lend(config, serverKey.value.trim());
  };

  return (
    <>
      <div class="card-head">
        <h2 id="endpoint-title">Lend a local endpoint</h2>
        <span class={`pill ${phase === 'lending' ? 'serving' : phase}`}>{phase}</span>
      </div>
      <p aria-live="polite" class="sentence">
        {sentenceOf(phase)}
      </p>
      {error && (
        <div class="notice error" role="alert">
          <p>{error.message}</p>
        </div>
      )}
      {idle ? (
        <form
          class="fields"
          onSubmit={(event) => {
            event.preventDefault();
            if (found === null) void runCheck();
            else lend();
          }}
        >
          <Field name="provider" label="Provider">
            {(attributes) => (
              <select
                {...attributes}
                value={form.value.provider}
                onChange={({ currentTarget }) =>
                  moved({ provider: currentTarget.value as ProxyConfig['provider'], url: '' })
                }
              >
                {PROVIDERS.map(([value, label]) => (
                  <option key={value} value={value}>
                    {label}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field name="url" label="Address" fault={faults.value.url}>
            {(attributes) => (
              <input
                {...attributes}
                type="url"
                inputMode="url"
                spellcheck={false}
                placeholder={URL_HINTS[form.value.provider]}
                value={form.value.url}
                onInput={({ currentTarget }) => moved({ url: currentTarget.value })}
              />
            )}
          </Field>
          <Field name="key" label="Its API key, if it has one" fault={faults.value.key}>
            {(attributes) => (
              <input
                {...attributes}
                type="password"
                autocomplete="off"
                value={form.value.key}
                onInput={({ currentTarget }) => moved({ key: currentTarget.value })}
              />
            )}
          </Field>
          {check.value && !check.value.result.ok && (
            <ProblemNotice
              problem={check.value.result.problem}
              provider={check.value.of.provider}
              url={check.value.of.nodes[0].url}
            />
          )}
          {found !== null && (
            <>
              <p class="found" role="status">
                {foundText(found)}
              </p>
              <Field name="model" label="Model" fault={faults.value.model}>
                {(attributes) => (
                  <select
                    {...attributes}
                    value={form.value.model}
                    onChange={({ currentTarget }) => change({ model: currentTarget.value })}
                  >
                    <option value="">all that it serves</option>
                    {found.map((model) => (
                      <option key={model} value={model}>
                        {model}
                      </option>
                    ))}
                  </select>
                )}
              </Field>
              {form.value.model !== '' && (
                <Field name="alias" label="Name that clients see" fault={faults.value.alias}>
                  {(attributes) => (
                    <input
                      {...attributes}
                      spellcheck={false}
                      placeholder={form.value.model}
                      value={form.value.alias}
                      onInput={({ currentTarget }) => change({ alias: currentTarget.value })}
                    />
                  )}
                </Field>
              )}
              <Field name="maxConcurrent" label="Requests at once" fault={faults.value.maxConcurrent}>
                {(attributes) => (
                  <input
                    {...attributes}
                    inputMode="numeric"
                    value={form.value.maxConcurrent}
                    onInput={({ currentTarget }) => change({ maxConcurrent: currentTarget.value })}
                  />
                )}
              </Field>
            </>
          )}
          {(error?.code === 'UNAUTHORIZED' || serverKey.value !== '') && (
            <Field name="server-key" label="This server’s API key">
              {(attributes) => (
                <input
                  {...attributes}
                  type="password"
                  autocomplete="off"
                  value={serverKey.value}
                  onInput={({ currentTarget }) => {
                    serverKey.value = currentTarget.value;
                  }}
                />
              )}
            </Field>
          )}
          <div class="actions">
            <button type="submit" class="primary" disabled={checking.value}>
              {checking.value ? 'Checking…' : found === null ? 'Check' : 'Lend'}
            </button>
            {found !== null && (
              <button type="button" disabled={checking.value} onClick={() => void runCheck()}>
                Check again
              </button>
            )}
          </div>
          <p class="muted small">
            The address must be on this device; endpoints elsewhere are lent with <code>shoal worker</code>.
            Its key stays in this page: it is not stored, and the server never sees it.
          </p>
        </form>
      ) : (
        <>
          <p class="small muted">
            The others see it as lent by <strong>{name}</strong> <You />
          </p>
          {phase !== 'connecting' && (
            <dl class="facts">
              <Fact name="Lending" value={models.length === 1 ? models[0]! : `${models.length} models`} />
              <Fact name="Answering" value={String(state.value.inFlight)} />
              <Fact name="Answered" value={String(state.value.answered)} />
            </dl>
          )}
          <div class="actions">
            <button type="button" disabled={phase === 'leaving'} onClick={() => void lender.stop()}>
              Stop lending
            </button>
          </div>
        </>
      )}
    </>
  );
}

/** Long enough for the browser's permission prompt to be read. */
const CHECK_MS = 60_000;

function foundText(models: readonly string[]): string {
  if (models.length === 0) return 'It answers, and serves no model yet.';
  return `It serves ${models.slice(0, 3).join(', ')}${models.length > 3 ? ` and ${models.length - 3} more` : ''}.`;
}

function sentenceOf(phase: LenderPhase): string {
  switch (phase) {
    case 'idle':
      return 'A model server on this device answers for everyone here, through this page.';
    case 'connecting':
      return 'Offering it to the server…';
    case 'lending':
      return 'Lending. Requests go to your endpoint while this page is open.';
    case 'leaving':
      return 'Finishing what is being answered…';
    case 'failed':
      return 'Something is in the way:';
    default:
      return phase satisfies never;
  }
}
