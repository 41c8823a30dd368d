/** `shoal/engine`: a model, or some of its layers, on WebGPU. For pages, Web Workers, and Node with a WebGPU of its own. */
export { type ErrorCode, ShoalError } from '../config/errors.ts';
export { type ProbeOptions, type ProbeResult, probeTuning } from '../gpu/autotune.ts';
export { type AdapterInfo, type DeviceOptions, GpuDevice, requestDevice } from '../gpu/device.ts';
export type { ShaderSource } from '../gpu/shaders.ts';
export type {
  SequenceOptions,
  StageEngine,
  StepEntry,
  StepInput,
  StepOutput,
  WireDtype,
} from '../gpu/stage-engine.ts';
export { createStageEngine, type StageEngineOptions } from '../gpu/transformer.ts';
export { type ChatTemplate, loadChatTemplate, type TemplateMessage } from '../model/chat-template.ts';
export type { LoadedTensor, WeightManifest } from '../model/manifest.ts';
export { loadModelText, type ModelText, type ModelTextFiles } from '../model/model-text.ts';
export { GREEDY, type SamplingParams } from '../model/sampling.ts';
export type { Quantization, Shard } from '../model/shard.ts';
export type { ModelSpec } from '../model/spec.ts';
export { wholeModel } from '../model/tensors.ts';
export { loadTokenizer, type Tokenizer } from '../model/tokenizer.ts';
export { type LoadShardOptions, loadShard } from '../model/weight-source.ts';
export { fetchManifest } from '../worker/fetch-manifest.ts';
export { type GenerateOptions, generate } from './generate.ts';
export { SHADERS } from './packed-shaders.ts';
