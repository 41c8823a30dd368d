import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { chooseBackend } from '../backend/choose.ts';
import type { ModelBackendConfig } from '../config/backend-config.ts';
import { DEFAULT_MODEL_ID, resolveModel } from '../config/catalogue.ts';
import { ShoalError } from '../config/errors.ts';
import { parseModelBackend } from '../config/model-backend.ts';
import { openModelDirectory } from '../model/directory.ts';
import type { AccessSettings } from '../server/access/open-access.ts';
import type { ServedNode } from '../server/node.ts';
import { type RunningServer, type ServerOptions, startServer } from '../server/server.ts';
import type { TlsOptions } from '../server/tls.ts';
import { DEFAULT_PORT, type ServerFlags } from './program.ts';
import { readSource } from './read-source.ts';
import type { Scope } from './scope.ts';

const PAGE_DIRECTORY = fileURLToPath(new URL('../../dist', import.meta.url));
const CONFIG_FILE = 'model_backend.yaml';

/**
 * The server that the flags and `model_backend.yaml` describe, closed with the scope.
 * @param expectWorkers placement waits for so many before it cuts the layers
 * @throws PORT_IN_USE where the port was asked for; CONFIG_INVALID, MODEL_NOT_FOUND and the model's own faults
 */
export async function openServer(
  flags: ServerFlags,
  log: Logger,
  scope: Scope,
  expectWorkers?: number,
): Promise<RunningServer> {
  const options = {
    node: await openNode(flags, expectWorkers),
    host: flags.host,
    ...tlsOf(flags),
    allowedHosts: flags.allowHost ?? [],
    allowedOrigins: flags.allowOrigin ?? [],
    access: accessOf(flags),
    pageDirectory: PAGE_DIRECTORY,
    log,
  };
  const server = await startOnPort(flags.port, options, log);
  scope.defer(() => server.close());
  if (server.warning !== null) log.warn(server.warning);
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

async function openNode(flags: ServerFlags, expectWorkers: number | undefined): Promise<ServedNode> {
  const config = await readConfig(fromCallersFolder(flags.config));
  const provider = flags.model === undefined ? config.provider : 'fxn';
  if (provider !== 'fxn') {
    const backend = await chooseBackend(config, () => {
      throw new ShoalError('INTERNAL', 'a proxy provider opened the native engine');
    });
    return { kind: 'proxy', backend };
  }
  const { id, directory } = resolveModel(fromCallersFolder(flags.model) ?? config.fxnId ?? DEFAULT_MODEL_ID);
  return {
    kind: 'mesh',
    model: await openModelDirectory(directory, { model: id }),
    quantization: flags.quantization,
    ...(flags.wire !== 'auto' && { wire: flags.wire }),
    iceServers: [...(flags.iceServer ?? [])],
    ...(expectWorkers !== undefined && { expectWorkers }),
  };
}

async function readConfig(named: string | undefined): Promise<ModelBackendConfig> {
  if (named === undefined && !existsSync(CONFIG_FILE)) return { provider: 'fxn' };
  const file = named ?? CONFIG_FILE;
  return parseModelBackend(await readSource(file), file);
}

/** npm runs its scripts in the package's root, whatever folder the user was in when naming a file or directory. */
function fromCallersFolder<Name extends string | undefined>(name: Name): Name | string {
  const caller = process.env.npm_lifecycle_event === undefined ? undefined : process.env.INIT_CWD;
  if (name === undefined || caller === undefined) return name;
  const path = resolve(caller, name);
  return existsSync(path) ? path : name;
}

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
  return tlsSelfSigned ? { tls: { kind: 'self-signed' } } : {};
}
