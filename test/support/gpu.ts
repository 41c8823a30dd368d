import { create, globals } from 'webgpu';
import { type DeviceOptions, type GpuDevice, requestDevice } from '../../src/gpu/device.ts';
import { readShaders } from '../../src/gpu/shaders-node.ts';

Object.assign(globalThis, globals);
const holder = globalThis as typeof globalThis & { dawn?: GPU };
// Without a strong reference Dawn's object is collected and the process crashes.
holder.dawn ??= create([]);

/** A device of Dawn under Node. No adapter is a failure, never a skip. */
export async function openDevice(options: DeviceOptions = {}): Promise<GpuDevice> {
  try {
    return await requestDevice(holder.dawn, options);
  } catch (cause) {
    throw new Error(
      'No WebGPU adapter under Node: run the tests through `npm test`, which points Dawn at a Vulkan driver, or set VK_ICD_FILENAMES (and LD_LIBRARY_PATH) to the vk_swiftshader_icd.json beside Chromium before Node starts.',
      { cause },
    );
  }
}

let shaders: ReturnType<typeof readShaders> | undefined;

export function testShaders(): ReturnType<typeof readShaders> {
  shaders ??= readShaders();
  return shaders;
}
