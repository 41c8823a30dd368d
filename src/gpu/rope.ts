import type { ModelSpec } from '../model/spec.ts';

/**
 * Rotary frequencies of one head, (headDim / 2), in f64.
 * `llama3` scaling: transformers' `_compute_llama3_parameters` (wavelengths beyond the original context are stretched
 * by `factor`, short ones kept, those between interpolated).
 */
export function ropeFrequencies(spec: Pick<ModelSpec, 'headDim' | 'rope'>): Float64Array {
  const { theta, scaling } = spec.rope;
  return Float64Array.from({ length: spec.headDim / 2 }, (_, i) => {
    const frequency = theta ** ((-2 * i) / spec.headDim);
    switch (scaling.type) {
      case 'none':
        return frequency;
      case 'linear':
        return frequency / scaling.factor;
      case 'llama3': {
        const wavelength = (2 * Math.PI) / frequency;
        const { factor, lowFreqFactor, highFreqFactor, originalContext } = scaling;
        if (wavelength < originalContext / highFreqFactor) return frequency;
        if (wavelength > originalContext / lowFreqFactor) return frequency / factor;
        const smooth = (originalContext / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
        return ((1 - smooth) * frequency) / factor + smooth * frequency;
      }
      default:
        return scaling satisfies never;
    }
  });
}

/** @returns (positions, headDim / 2, 2) f32: cos, sin of position × frequency, computed in f64 */
export function ropeTable(
  spec: Pick<ModelSpec, 'headDim' | 'rope'>,
  positions: number,
): Float32Array<ArrayBuffer> {
  const frequencies = ropeFrequencies(spec);
  const half = frequencies.length;
  const table = new Float32Array(positions * half * 2);
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = p * frequencies[i]!;
      table[(p * half + i) * 2] = Math.cos(angle);
      table[(p * half + i) * 2 + 1] = Math.sin(angle);
    }
  }
  return table;
}
