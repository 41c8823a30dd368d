import texts from 'shoal:shaders';
import type { ShaderSource } from '../gpu/shaders.ts';

/** The kernels of this very version, so that nothing has to be fetched or copied. */
export const SHADERS: ShaderSource = new Map(Object.entries(texts));
