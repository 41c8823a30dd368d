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
export type { LoadedTensor, WeightManifest } from '../model/fetch/manifest.ts';
export { type LoadShardOptions, loadShard } from '../model/fetch/weight-source.ts';
export { GREEDY, type SamplingParams } from '../model/sampling.ts';
export type { Quantization, Shard } from '../model/shard.ts';
export type { ModelSpec } from '../model/spec.ts';
export { wholeModel } from '../model/tensors.ts';
export { type ChatTemplate, loadChatTemplate, type TemplateMessage } from '../model/text/chat-template.ts';
export { loadModelText, type ModelText, type ModelTextFiles } from '../model/text/model-text.ts';
export { loadTokenizer, type Tokenizer } from '../model/text/tokenizer.ts';
export { fetchManifest } from '../worker/fetch-manifest.ts';
export { type GenerateOptions, generate } from './generate.ts';
export { SHADERS } from './packed-shaders.ts';
