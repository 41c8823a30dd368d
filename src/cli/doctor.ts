import { existsSync } from 'node:fs';
import packageJson from '../../package.json' with { type: 'json' };
import { loadServedModel } from '../backend/fxn/load-served-model.ts';
import type { ModelBackendConfig } from '../config/backend-config.ts';
import { DEFAULT_MODEL_ID } from '../config/catalogue.ts';
import { ShoalError } from '../config/errors.ts';
import { PAGE_FOLDER } from '../config/installation.ts';
import { type Check, failure, findingLines, ok, runChecks, warning } from './doctor/finding.ts';
import { browserChecks, folderCheck, nodeCheck, pageCheck, portCheck } from './doctor/machine.ts';
import { nodeChecks } from './doctor/node-reach.ts';
import { lacksMesh } from './mesh-is-up.ts';
import { openModel } from './open-model.ts';
import { DEFAULT_PORT, DEFAULT_SERVER, type DoctorFlags } from './program.ts';
import { readFirstConfig } from './read-config.ts';
import { fetchWith, type TrustFlags } from './server-trust.ts';
import { statusInTime } from './status.ts';

/**
 * `shoal doctor`: whether what a node with this configuration needs is there and works, a line each.
 * @throws CHECK_FAILED when something that is needed does not
 */
export async function doctor(flags: DoctorFlags, signal: AbortSignal): Promise<void> {
  const isColoured = process.stdout.isTTY && !process.env.NO_COLOR;
  const found = await runChecks(await checksOf(flags), signal, (finding) => {
    if (!flags.json) process.stdout.write(findingLines(finding, isColoured));
  });
  const failed = found.filter(({ state }) => state === 'failure').map(({ name }) => name);
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ ok: failed.length === 0, checks: found }, null, 2)}\n`);
  }
  if (failed.length > 0) throw new ShoalError('CHECK_FAILED', `${failed.join(', ')}: see above what to do`);
}

async function checksOf(flags: DoctorFlags): Promise<Check[]> {
  const { config, checks } = await configChecks(flags.config);
  const isForwarding = config !== null && config.provider !== 'fxn';
  return [
    nodeCheck(process.versions.node, packageJson.engines.node.replace('>=', '')),
    ...browserChecks(!isForwarding),
    ...(flags.server === undefined
      ? [portCheck(DEFAULT_PORT, (signal) => shoalAt(DEFAULT_SERVER, signal)), pageCheck(PAGE_FOLDER)]
      : [serverCheck(flags.server, flags)]),
    folderCheck(process.env),
    ...checks,
  ];
}

async function configChecks(
  file: string | undefined,
): Promise<{ config: ModelBackendConfig | null; checks: Check[] }> {
  const check = (run: Check['run']): Check => ({ name: 'config', run });
  try {
    const read = await readFirstConfig(file);
    const { config, warnings } = read;
    const name = existsSync(read.file) ? read.file : `no ${read.file} here, so the default`;
    const told = `${name}: backend_provider ${config.provider}`;
    return {
      config,
      checks: [
        check(async () =>
          warnings.length === 0
            ? ok(told)
            : warning(`${told}\n${warnings.join('\n')}`, '`shoal config check` says more'),
        ),
        ...(config.provider === 'fxn' ? [modelCheck(config.fxnId ?? DEFAULT_MODEL_ID)] : nodeChecks(config)),
      ],
    };
  } catch (error) {
    return { config: null, checks: [check(async () => failure(ShoalError.from(error).message))] };
  }
}

function modelCheck(id: string): Check {
  return {
    name: 'model',
    async run() {
      const { model, quantization } = await openModel(id);
      const { hasChatTemplate, prompts } = await loadServedModel(model);
      await prompts.close();
      const detail = `${model.model}: ${model.spec.layers} layers, context ${model.spec.contextLength}, weights ${quantization}`;
      return !hasChatTemplate
        ? warning(
            `${detail}, no chat template`,
            'it completes text, but answers no chat; a template can be named in config/models.yaml',
          )
        : ok(detail);
    },
  };
}

function serverCheck(url: string, trust: TrustFlags): Check {
  return {
    name: 'server',
    async run(signal) {
      const status = await statusInTime({ baseUrl: url, fetch: fetchWith(url, trust) }, signal);
      const found = `${url} serves ${status.provider}: ${status.detail}`;
      if (!status.ready) return warning(found, 'it runs, and cannot answer yet');
      return lacksMesh(status)
        ? warning(found, 'backends that others lend answer; its own model waits for workers')
        : ok(found);
    },
  };
}

async function shoalAt(url: string, signal: AbortSignal): Promise<string | null> {
  const status = await statusInTime({ baseUrl: url, fetch }, signal).catch(() => null);
  return status && `a Shoal server runs there (${status.provider}: ${status.detail})`;
}
