import { join } from 'node:path';
import type { Logger } from 'pino';
import { openProxyNodes } from '../backend/proxy-nodes.ts';
import type { ModelBackendConfig } from '../config/backend-config.ts';
import { DEFAULT_MODEL_ID } from '../config/catalogue.ts';
import { ShoalError } from '../config/errors.ts';
import { PAGE_FOLDER } from '../config/installation.ts';
import type { MeshSettings } from '../config/mesh-fields.ts';
import { stateFolder } from '../config/state-folder.ts';
import type { AccessSettings } from '../server/access/open-access.ts';
import type { TlsOptions } from '../server/http/tls.ts';
import type { ServedNode } from '../server/node.ts';
import { type RunningServer, type ServerOptions, startServer } from '../server/server.ts';
import type { Replaced } from '../server/serving.ts';
import { admissionOf } from './admission.ts';
import { fromCallersFolder } from './callers-folder.ts';
import { followConfig } from './follow-config.ts';
import { openModel } from './open-model.ts';
import { DEFAULT_PORT, type ServerFlags } from './program.ts';
import { readFirstConfig } from './read-config.ts';
import type { Scope } from './scope.ts';
import { splitOf } from './split-settings.ts';
import { stateOf } from './state-settings.ts';

export interface OpenServerOptions {
  /** Placement waits for so many before it cuts the layers. */
  readonly expectWorkers?: number;
  /** Default true; a command that ends by itself does not follow, and SIGHUP ends it. */
  readonly follow?: boolean;
  /** For what becomes of a changed file; default: the server's. */
  readonly reloadLog?: Logger;
  /** Called after the server began to serve something else. */
  readonly onReplaced?: (replaced: Replaced) => Promise<void>;
}

/**
 * The server that the flags and `model_backend.yaml` describe, which follows that file and is closed with the scope.
 * @throws PORT_IN_USE where the port was asked for; CONFIG_INVALID, MODEL_NOT_FOUND and the model's own faults
 */
export async function openServer(
  flags: ServerFlags,
  log: Logger,
  scope: Scope,
  { expectWorkers, follow = true, reloadLog = log, onReplaced }: OpenServerOptions = {},
): Promise<RunningServer> {
  const { file, config, warnings } = await readFirstConfig(fromCallersFolder(flags.config));
  for (const warning of warnings) log.warn(warning);
  const options = {
    node: await nodeOf(config, flags, expectWorkers),
    host: flags.host,
    ...tlsOf(flags),
    allowedHosts: flags.allowHost ?? [],
    allowedOrigins: flags.allowOrigin ?? [],
    access: accessOf(flags),
    takesProviders: flags.providers,
    isStrict: flags.strict ?? false,
    ...stateOf(flags, process.env, meshOf(config)),
    pageDirectory: PAGE_FOLDER,
    log,
  };
  const server = await startOnPort(flags.port, options, log);
  scope.defer(() => server.close());
  if (server.warning !== null) log.warn(server.warning);
  const apply = async (next: ModelBackendConfig) => {
    if (meshOf(next).state !== meshOf(config).state) {
      reloadLog.warn(`${file}: state takes effect when the server is started anew`);
    }
    const replaced = await server.replace(await nodeOf(next, flags, expectWorkers));
    await onReplaced?.(replaced);
  };
  if (!follow) return server;
  scope.onHangUp(() => server.reloadKeys());
  // --model on the command line wins over the file, now as at the start.
  if (flags.model === undefined) followConfig({ file, config, apply, log: reloadLog }, scope);
  else
    scope.onHangUp(() =>
      reloadLog.info(`SIGHUP: --model ${flags.model} wins over ${file}, which is not read`),
    );
  return server;
}

/** Without a port of the user's choice a taken default is no error: another Shoal may run here. */
async function startOnPort(
  wanted: number | undefined,
  options: Omit<ServerOptions, 'port'>,
  log: Logger,
): Promise<RunningServer> {
  if (wanted !== undefined) return startServer({ ...options, port: wanted });
  try {
    return await startServer({ ...options, port: DEFAULT_PORT });
  } catch (error) {
    if (!(error instanceof ShoalError) || error.code !== 'PORT_IN_USE') throw error;
    log.warn(`port ${DEFAULT_PORT} is taken; using a free one`);
    return startServer({ ...options, port: 0 });
  }
}

async function nodeOf(
  config: ModelBackendConfig,
  flags: ServerFlags,
  expectWorkers: number | undefined,
): Promise<ServedNode> {
  if (flags.model === undefined && config.provider !== 'fxn') {
    return { kind: 'proxy', provider: config.provider, open: () => openProxyNodes(config) };
  }
  const file = meshOf(config);
  const wanted = fromCallersFolder(flags.model) ?? config.fxnId ?? DEFAULT_MODEL_ID;
  return {
    kind: 'mesh',
    ...(await openModel(wanted, flags.quantization)),
    ...(flags.wire !== 'auto' && { wire: flags.wire }),
    iceServers: [...(flags.iceServer ?? [])],
    ...admissionOf(flags, process.env, file),
    ...splitOf(flags, file, expectWorkers),
    ...(expectWorkers !== undefined && { expectWorkers }),
  };
}

const meshOf = (config: ModelBackendConfig): MeshSettings => (config.provider === 'fxn' ? config : {});

function accessOf({ apiKeys, rateLimit, maxConcurrent, trustProxy }: ServerFlags): AccessSettings {
  return {
    ...(apiKeys !== undefined && { keyFile: fromCallersFolder(apiKeys) }),
    ...(rateLimit !== undefined && { requestsPerMinute: rateLimit }),
    ...(maxConcurrent !== undefined && { concurrent: maxConcurrent }),
    ...(trustProxy !== undefined && { trustedProxies: trustProxy }),
  };
}

function tlsOf({ tlsCert, tlsKey, tlsSelfSigned }: ServerFlags): { tls?: TlsOptions } {
  if (tlsCert !== undefined && tlsKey !== undefined) {
    return {
      tls: {
        kind: 'files',
        certFile: fromCallersFolder(tlsCert),
        keyFile: fromCallersFolder(tlsKey),
      },
    };
  }
  if (tlsCert !== undefined || tlsKey !== undefined) {
    throw new ShoalError('CONFIG_INVALID', '--tls-cert and --tls-key belong together; give both');
  }
  return tlsSelfSigned
    ? { tls: { kind: 'self-signed', file: join(stateFolder(process.env), 'self-signed.pem') } }
    : {};
}
