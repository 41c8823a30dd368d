import { ShoalError } from '../config/errors.ts';
import { STEP_SLOT_BYTES } from '../model/gpu-bytes.ts';
import { SHADER_STAGE_COMPUTE, USAGE } from './buffer-usage.ts';
import type { GpuDevice } from './device.ts';
import { expandShader, type ShaderSource } from './shaders.ts';

/** What stands at binding i of group 1: a read-only or a writable storage buffer. */
export type BindingKind = 'read' | 'write';

export interface KernelOptions {
  readonly file: string;
  /** Choices for the `{NAME}` places of the file. */
  readonly choices?: Readonly<Record<string, string>>;
  /** Values of the `override` constants; a kernel that declares one not named here is refused. */
  readonly constants: Readonly<Record<string, number | boolean>>;
  readonly bindings: readonly BindingKind[];
}

export interface Kernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Workgroups along one dimension of a dispatch; every WebGPU adapter gives at least this. */
const MAX_WORKGROUPS_PER_DIMENSION = 65_535;

/** Folds `workgroups` into two dimensions; kernels fold back with `id.x + id.y * num_workgroups.x`. */
export function foldWorkgroups(workgroups: number): [number, number] {
  if (workgroups <= MAX_WORKGROUPS_PER_DIMENSION) return [workgroups, 1];
  const y = Math.ceil(workgroups / MAX_WORKGROUPS_PER_DIMENSION);
  return [Math.ceil(workgroups / y), y];
}

const compilers = new WeakMap<GpuDevice, Map<ShaderSource, KernelCompiler>>();

/** The compiler of a device: a shard that replaces another of the same model finds its kernels compiled. */
export function compilerFor(device: GpuDevice, source: ShaderSource): KernelCompiler {
  const bySource = compilers.get(device) ?? new Map<ShaderSource, KernelCompiler>();
  compilers.set(device, bySource);
  const compiler = bySource.get(source) ?? new KernelCompiler(device, source);
  bySource.set(source, compiler);
  return compiler;
}

/** Compiles kernels and keeps them by their options, so that layers of one shape share a pipeline. */
export class KernelCompiler {
  readonly device: GpuDevice;
  readonly stepLayout: GPUBindGroupLayout;
  readonly #source: ShaderSource;
  readonly #kernels = new Map<string, Promise<Kernel>>();
  readonly #modules = new Map<string, Promise<{ module: GPUShaderModule; overrides: readonly string[] }>>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();

  constructor(device: GpuDevice, source: ShaderSource) {
    this.device = device;
    this.#source = source;
    this.stepLayout = device.raw.createBindGroupLayout({
      entries: [
        {
          binding: 0,
          visibility: SHADER_STAGE_COMPUTE,
          buffer: { type: 'uniform', hasDynamicOffset: true, minBindingSize: 16 },
        },
      ],
    });
  }

  /** @throws SHADER_INVALID with file, line and the compiler's message */
  kernel(options: KernelOptions): Promise<Kernel> {
    const key = JSON.stringify(options);
    let kernel = this.#kernels.get(key);
    if (kernel === undefined) {
      kernel = this.#compile(options);
      this.#kernels.set(key, kernel);
    }
    return kernel;
  }

  /** A bind group for group 1 of `kernel`, buffers in binding order. */
  bind(kernel: Kernel, buffers: readonly GPUBuffer[]): GPUBindGroup {
    return this.device.raw.createBindGroup({
      layout: kernel.layout,
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
  }

  /** The uniform buffer of `slots` steps and its bind group for group 0. */
  stepUniform(slots: number): { buffer: GPUBuffer; group: GPUBindGroup } {
    const buffer = this.device.create('step', slots * STEP_SLOT_BYTES, USAGE.UNIFORM | USAGE.COPY_DST);
    const group = this.device.raw.createBindGroup({
      layout: this.stepLayout,
      entries: [{ binding: 0, resource: { buffer, size: 16 } }],
    });
    return { buffer, group };
  }

  async #compile(options: KernelOptions): Promise<Kernel> {
    const { module, overrides } = await this.#module(options.file, options.choices ?? {});
    const constants: Record<string, number> = {};
    for (const name of overrides) {
      const value = options.constants[name];
      if (value === undefined) {
        throw new ShoalError('SHADER_INVALID', `${options.file}: no value for override ${name}`);
      }
      constants[name] = Number(value);
    }
    const layout = this.#layout(options.bindings);
    const { raw } = this.device;
    try {
      const pipeline = await raw.createComputePipelineAsync({
        label: options.file,
        layout: raw.createPipelineLayout({ bindGroupLayouts: [this.stepLayout, layout] }),
        compute: { module, entryPoint: 'main', constants },
      });
      return { pipeline, layout };
    } catch (cause) {
      this.device.check();
      throw new ShoalError(
        'SHADER_INVALID',
        `${options.file}: ${cause instanceof Error ? cause.message : cause}`,
        {
          cause,
        },
      );
    }
  }

  #module(file: string, choices: Readonly<Record<string, string>>) {
    const key = JSON.stringify([file, choices]);
    let made = this.#modules.get(key);
    if (made === undefined) {
      made = this.#compileModule(file, choices);
      this.#modules.set(key, made);
    }
    return made;
  }

  async #compileModule(file: string, choices: Readonly<Record<string, string>>) {
    const code = expandShader(this.#source, file, choices);
    const { raw } = this.device;
    // A shader that does not compile would otherwise read back zeros and "pass".
    raw.pushErrorScope('validation');
    const module = raw.createShaderModule({ label: file, code });
    const [info, error] = await Promise.all([module.getCompilationInfo(), raw.popErrorScope()]);
    const fault = info.messages.find((message) => message.type === 'error');
    if (fault !== undefined) {
      const line = code.split('\n')[fault.lineNum - 1]?.trim() ?? '';
      throw new ShoalError(
        'SHADER_INVALID',
        `${file}, line ${fault.lineNum} of the expanded text ("${line}"): ${fault.message}`,
      );
    }
    if (error !== null) throw new ShoalError('SHADER_INVALID', `${file}: ${error.message}`);
    const overrides = [...code.matchAll(/^override (\w+)/gm)].map((match) => match[1]!);
    return { module, overrides };
  }

  #layout(bindings: readonly BindingKind[]): GPUBindGroupLayout {
    const key = bindings.join();
    let layout = this.#layouts.get(key);
    if (layout === undefined) {
      layout = this.device.raw.createBindGroupLayout({
        entries: bindings.map((kind, binding) => ({
          binding,
          visibility: SHADER_STAGE_COMPUTE,
          buffer: { type: kind === 'read' ? 'read-only-storage' : 'storage' },
        })),
      });
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}
