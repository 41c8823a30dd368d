/** What a server can serve, and the same opened: a mesh with its signaling and model files, or a proxy. */
import type { Logger } from 'pino';
import type { Backend } from '../backend/backend.ts';
import { createFxnBackend } from '../backend/fxn.ts';
import { loadServedModel } from '../backend/load-served-model.ts';
import type { WireDtype } from '../gpu/stage-engine.ts';
import type { ModelDirectory } from '../model/directory.ts';
import type { Quantization } from '../model/shard.ts';
import { modelCosts } from '../schedule/costs.ts';
import { defaultWire } from './default-wire.ts';
import type { HostGuard } from './host-guard.ts';
import { Mesh } from './mesh.ts';
import { type IceServers, Signaling } from './signaling.ts';
import type { Timers } from './timers.ts';

/** The native engine: workers join, and the model runs on them. */
export interface MeshNode {
  readonly kind: 'mesh';
  readonly model: ModelDirectory;
  /** Default `native`. */
  readonly quantization?: Quantization;
  /** Default: `defaultWire`. */
  readonly wire?: WireDtype;
  /** Stages at most; without it all workers up to the model's layers. */
  readonly pipelineSize?: number;
  /** The first placement waits for so many workers, EXPECT_WORKERS_MS at most. */
  readonly expectWorkers?: number;
  /** For the tabs' connections to each other; none: only addresses that reach each other directly. */
  readonly iceServers?: IceServers;
}

/** Requests are forwarded; there is no mesh. */
export interface ProxyNode {
  readonly kind: 'proxy';
  readonly backend: Backend;
}

export type ServedNode = MeshNode | ProxyNode;

export interface OpenNode {
  readonly backend: Backend;
  /** Null with a proxy: it has no workers and no model files. */
  readonly native: {
    readonly mesh: Mesh;
    readonly signaling: Signaling;
    readonly files: ModelDirectory;
  } | null;
  /** Ends what is in flight with ABORTED and tells the tabs. */
  close(): Promise<void>;
}

export interface NodeContext {
  readonly guard: HostGuard;
  readonly timers: Timers;
  readonly log: Logger;
}

/** @throws TOKENIZER_INVALID, MODEL_CONFIG_INVALID, and what else is wrong with the model's files */
export async function openNode(node: ServedNode, context: NodeContext): Promise<OpenNode> {
  if (node.kind === 'proxy') {
    return { backend: node.backend, native: null, close: () => node.backend.close() };
  }
  const { model, quantization = 'native', wire = defaultWire(node.model.spec.hidden) } = node;
  const { pipelineSize, expectWorkers, iceServers = [] } = node;
  const { timers, log } = context;
  const served = await loadServedModel(model);
  const mesh = new Mesh({
    model: model.model,
    costs: modelCosts(model.spec, model.dtype, quantization),
    quantization,
    wire,
    ...(pipelineSize !== undefined && { pipelineSize }),
    ...(expectWorkers !== undefined && { expectWorkers }),
    timers,
    log,
  });
  const backend = createFxnBackend({
    generator: mesh.coordinator,
    model: served,
    readiness: () => mesh.readiness(),
  });
  const signaling = new Signaling({ ...context, mesh, iceServers });
  return {
    backend,
    native: { mesh, signaling, files: model },
    close: async () => {
      mesh.close();
      await backend.close();
      await signaling.close();
    },
  };
}
