import { X509Certificate } from 'node:crypto';
import { ShoalError } from '../config/errors.ts';
import type { RunningServer } from '../server/server.ts';
import type { Replaced } from '../server/serving.ts';
import { admissionOf } from './admission.ts';
import { type ApiClient, ask, fetchStatus, firstModel, type Question } from './api-client.ts';
import { TabFailures } from './browser/tab-failures.ts';
import { TabFleet } from './browser/tab-fleet.ts';
import type { LiveLines } from './live-lines.ts';
import { type MeshToWaitFor, untilMeshIsUp } from './mesh-is-up.ts';
import { openServer } from './open-server.ts';
import { forStdout } from './printable.ts';
import { DEFAULT_SERVER, type UpFlags } from './program.ts';
import type { Scope } from './scope.ts';
import { drainLast } from './serve.ts';
import { publicKeyHash } from './server-trust.ts';
import { speedText } from './speed-text.ts';
import { untilStopped } from './stay-up.ts';
import { createUpView, type Started } from './up-view.ts';

const SAMPLE_QUESTION = 'What is the capital of Japan?';

/** `shoal up` (`npm start`): server and workers on this machine, one answer, then up until stopped. */
export async function up(flags: UpFlags, scope: Scope, lines: LiveLines | null = null): Promise<void> {
  const view = createUpView(lines);
  const { log } = view;
  scope.beforeEnd(() => view.end());
  // The tabs tell what happens; of the server only trouble is news here.
  const serverLog = log.child({}, { level: process.env.SHOAL_LOG_LEVEL ?? 'warn' });
  const failures = new TabFailures();
  const { joinKey } = admissionOf(flags, process.env);
  let fleet: TabFleet | null = null;
  const openFleet = async () => {
    fleet = new TabFleet({
      serverUrl: server.url,
      tabs: flags.workers,
      namePrefix: 'tab',
      gpu: flags.gpu,
      headful: flags.headful ?? false,
      insecure: false,
      ...(server.selfSigned !== null && {
        trustedKey: publicKeyHash(new X509Certificate(server.selfSigned.pem)),
      }),
      sandbox: flags.sandbox,
      ...(flags.memory !== undefined && { memoryGb: flags.memory }),
      ...(joinKey !== undefined && { joinKey: joinKey.reveal() }),
      onNotice: (notice) => log.warn(notice),
      onChange: (tab, state) => {
        failures.note(tab, state);
        view.tabChanged(tab, state);
      },
      onState: (tab, state) => view.tabSaid(tab, state),
    });
    view.step('browser', 'starting Chrome');
    await fleet.start();
    view.step('browser', 'Chrome runs', true);
  };
  const onReplaced = async ({ retired }: Replaced) => {
    if (server.needsWorkers && fleet === null) {
      await openFleet().catch((error) => log.error(`the tabs do not start: ${ShoalError.from(error)}`));
    }
    // The tabs of a mesh that was replaced finish its answers.
    void retired.then(async () => {
      if (server.needsWorkers || scope.signal.aborted) return;
      const unneeded = fleet;
      fleet = null;
      await unneeded?.close();
    });
  };
  view.step('server', 'starting');
  const server: RunningServer = await openServer(flags, serverLog, scope, {
    expectWorkers: flags.workers,
    follow: flags.once === undefined,
    reloadLog: log,
    onReplaced,
  });
  view.step('server', server.url, true);
  const client: ApiClient = { baseUrl: server.url, fetch: server.fetch };
  // Together: a server that outlived its workers by a moment would place the layers anew.
  scope.defer(() => Promise.all([server.close(), fleet?.close()]));
  if (flags.once === undefined) drainLast(server, flags, scope);
  if (server.needsWorkers) {
    await openFleet();
    const mesh: MeshToWaitFor = {
      tabs: flags.workers,
      status: () => fetchStatus(client, scope.signal),
      states: () => [...(fleet?.states.values() ?? [])],
      failure: () => failures.reason(flags.workers),
      shortage: () => server.shortage,
    };
    await untilMeshIsUp(mesh, scope.signal);
  }
  if (flags.once !== undefined) {
    view.end();
    return answerOnce(client, await servedModel(client, scope.signal), flags, scope.signal);
  }
  const { predicted } = await fetchStatus(client, scope.signal);
  if (predicted != null) view.expects(speedText(predicted));
  view.step('answer', SAMPLE_QUESTION);
  const sample = await askSample(client, flags, scope.signal);
  const status = await fetchStatus(client, scope.signal);
  view.started({ server, status, question: SAMPLE_QUESTION, ...sample, defaultServer: DEFAULT_SERVER });
  await untilStopped(scope.signal);
  log.info('shutting down');
}

async function answerOnce(
  client: ApiClient,
  model: string,
  flags: UpFlags,
  signal: AbortSignal,
): Promise<void> {
  const question: Question =
    typeof flags.once === 'string'
      ? { type: 'chat', messages: [{ role: 'user', content: flags.once }] }
      : { type: 'raw', text: flags.raw ?? '' };
  // Whole or not at all where a program reads it; as it comes where a person does.
  const live = process.stdout.isTTY;
  const { text } = await ask(client, model, question, flags, signal, (piece) => {
    if (live) process.stdout.write(forStdout(piece));
  }).catch((error) => {
    throw withRawRemedy(error);
  });
  process.stdout.write(live ? '\n' : `${text}\n`);
}

function withRawRemedy(error: unknown): unknown {
  if (!(error instanceof ShoalError) || error.code !== 'CHAT_TEMPLATE_MISSING') return error;
  return new ShoalError(
    error.code,
    'this model has no chat template; complete text instead: --once --raw "text"',
  );
}

/** The mesh's own where there is one: a backend that someone lends may stand before it in the list. */
async function servedModel(client: ApiClient, signal: AbortSignal): Promise<string> {
  return (await fetchStatus(client, signal)).model?.id ?? firstModel(client, signal);
}

/** A backend that does not answer yet is no reason to end: it may come, and the server says so to who asks. */
async function askSample(
  client: ApiClient,
  flags: UpFlags,
  signal: AbortSignal,
): Promise<Pick<Started, 'model' | 'sample'>> {
  const question: Question = { type: 'chat', messages: [{ role: 'user', content: SAMPLE_QUESTION }] };
  let model: string | null = null;
  try {
    model = await servedModel(client, signal);
    return { model, sample: await ask(client, model, question, flags, signal) };
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const error = ShoalError.from(thrown);
    const sample =
      error.code === 'CHAT_TEMPLATE_MISSING'
        ? 'this model has no chat template: use /v1/completions, or --once --raw "text"'
        : `the sample question was not answered: ${error}`;
    return { model, sample };
  }
}
