/** What a server can serve, and the same opened: a mesh with its signaling and model files, or a proxy. */
import type { Logger } from 'pino';
import { createFxnBackend } from '../backend/fxn/fxn.ts';
import { loadServedModel } from '../backend/fxn/load-served-model.ts';
import type { PoolNode } from '../backend/pool/node-pool.ts';
import type { Provider } from '../config/backend-config.ts';
import { MAX_MESH_REQUESTS } from '../config/limits.ts';
import type { Secret } from '../config/secret.ts';
import type { WireDtype } from '../gpu/stage-engine.ts';
import type { Timers } from '../mesh/timers.ts';
import type { ModelDirectory } from '../model/directory.ts';
import type { Quantization } from '../model/shard.ts';
import { modelCosts } from '../schedule/costs.ts';
import { defaultWire } from './default-wire.ts';
import type { HostGuard } from './http/host-guard.ts';
import type { IceServers } from './mesh/connections/ice-offer.ts';
import { Signaling } from './mesh/connections/signaling.ts';
import type { TurnServers } from './mesh/connections/turn.ts';
import type { ReceiptKey } from './mesh/holdings/receipts.ts';
import { Mesh } from './mesh/mesh.ts';
import { modelShare } from './mesh/model-share.ts';

/** The native engine: workers join, and the model runs on them. */
export interface MeshNode {
  readonly kind: 'mesh';
  readonly model: ModelDirectory;
  /** Default `native`. */
  readonly quantization?: Quantization;
  /** Default: `defaultWire`. */
  readonly wire?: WireDtype;
  /** Stages at most; without it all workers up to the model's layers. */
  readonly maxStages?: number;
  /** Stages at least, though fewer would be quicker: to show a split. */
  readonly minStages?: number;
  /** Whoever holds layers holds all of them. */
  readonly solo?: boolean;
  /** The first placement waits for so many workers, EXPECT_WORKERS_MS at most. */
  readonly expectWorkers?: number;
  /** Workers that hold each layer, where memory allows. Default DEFAULT_REPLICAS. */
  readonly replicas?: number;
  /** For the tabs' connections to each other; none: only addresses that reach each other directly. */
  readonly iceServers?: IceServers;
  /** Relays whose credentials are made for each worker. */
  readonly turn?: TurnServers;
  /** What workers are asked for; absent: whoever reaches the server may join. */
  readonly joinKey?: Secret;
}

/** Requests are forwarded; there is no mesh. */
export interface ProxyNode {
  readonly kind: 'proxy';
  readonly provider: Provider;
  /** Called once each time that the node is opened. @throws CONFIG_INVALID */
  readonly open: () => readonly PoolNode[];
}

export type ServedNode = MeshNode | ProxyNode;

export interface OpenNode {
  readonly provider: Provider;
  /** For the server's pool, which closes their backends. */
  readonly nodes: readonly PoolNode[];
  /** Null with a proxy: it has no workers and no model files. */
  readonly native: {
    readonly mesh: Mesh;
    readonly signaling: Signaling;
    readonly files: ModelDirectory;
  } | null;
  /** Tells the tabs; after the backends are closed. */
  close(): Promise<void>;
}

export interface NodeContext {
  readonly guard: HostGuard;
  /** Reverse proxies before the server; default 0. */
  readonly trustedProxies?: number;
  /** One for all models that a server comes to serve: a worker may hold shards of an earlier one. */
  readonly receiptKey?: ReceiptKey;
  readonly timers: Timers;
  readonly log: Logger;
}

/** @throws TOKENIZER_INVALID, MODEL_CONFIG_INVALID, and what else is wrong with the model's files */
export async function openNode(node: ServedNode, context: NodeContext): Promise<OpenNode> {
  if (node.kind === 'proxy') {
    return { provider: node.provider, nodes: node.open(), native: null, close: async () => {} };
  }
  const { model, quantization = 'native', wire = defaultWire(node.model.spec.hidden) } = node;
  const { maxStages, minStages, solo, expectWorkers, replicas, iceServers = [], turn, joinKey } = node;
  const { receiptKey, timers, log } = context;
  const served = await loadServedModel(model);
  const costs = modelCosts(model.spec, model.dtype, quantization);
  const mesh = new Mesh({
    model: model.model,
    costs,
    vocab: model.spec.vocab,
    share: modelShare(model.spec, model.dtype, costs, node),
    quantization,
    wire,
    ...(maxStages !== undefined && { maxStages }),
    ...(minStages !== undefined && { minStages }),
    ...(solo !== undefined && { solo }),
    ...(expectWorkers !== undefined && { expectWorkers }),
    ...(replicas !== undefined && { replicas }),
    ...(receiptKey !== undefined && { receiptKey }),
    timers,
    log,
  });
  const backend = createFxnBackend({
    generator: mesh.coordinator,
    model: served,
    variant: `${quantization} ${wire}`,
    readiness: () => mesh.readiness(),
  });
  const signaling = new Signaling({
    ...context,
    mesh,
    iceServers,
    ...(turn !== undefined && { turn }),
    ...(joinKey !== undefined && { joinKey }),
  });
  return {
    provider: 'fxn',
    nodes: [
      {
        id: 'mesh',
        name: 'mesh',
        backend,
        maxConcurrent: MAX_MESH_REQUESTS,
        anyModel: false,
        takesTurns: true,
        isReady: () => mesh.readiness().ready,
      },
    ],
    native: { mesh, signaling, files: model },
    close: async () => {
      mesh.close();
      await signaling.close();
    },
  };
}
