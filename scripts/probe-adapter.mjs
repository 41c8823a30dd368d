// Exits 0 where npm `webgpu` finds an adapter. A process of its own: the driver's variables are read at start.
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);
const gpu = create([]);
const adapter = await gpu.requestAdapter();
if (adapter === null) process.exit(1);
process.stdout.write(`${adapter.info.description || adapter.info.vendor}\n`);
process.exit(0);
