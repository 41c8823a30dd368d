/** What the Web Worker needs of the engine. Browser and Node alike; shaders-node.ts is Node's own. */
export { type ProbeOptions, type ProbeResult, probeTuning } from './autotune.ts';
export {
  type AdapterInfo,
  type DeviceLimits,
  type DeviceOptions,
  type GpuDevice,
  requestDevice,
} from './device.ts';
export { fetchShaders, SHADER_FILES, type ShaderSource } from './shaders.ts';
export type {
  SequenceOptions,
  StageEngine,
  StepEntry,
  StepInput,
  StepOutput,
  StepTimings,
  WireDtype,
} from './stage-engine.ts';
export { createStageEngine, type StageEngineOptions } from './transformer.ts';
export type { Tuning } from './tuning.ts';
export { shardWeightBytes } from './weights.ts';
