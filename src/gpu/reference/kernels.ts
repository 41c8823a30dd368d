/**
 * CPU twins of the kernels, in f64, one small function each: what the GPU is compared with. Plain loops, no tricks.
 */

/** @param w (outputs, k) @param x (k) @returns (outputs) */
export function matVec(w: ArrayLike<number>, x: ArrayLike<number>, outputs: number): Float64Array {
  const k = x.length;
  return Float64Array.from({ length: outputs }, (_, o) => {
    let sum = 0;
    for (let i = 0; i < k; i++) sum += w[o * k + i]! * x[i]!;
    return sum;
  });
}

/** x / sqrt(mean(x²) + eps) × weight (Zhang and Sennrich 2019). @param x (n) @param weight (n) */
export function rmsNorm(x: ArrayLike<number>, weight: ArrayLike<number>, eps: number): Float64Array {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * x[i]!;
  const inverse = 1 / Math.sqrt(sum / x.length + eps);
  return Float64Array.from({ length: x.length }, (_, i) => x[i]! * inverse * weight[i]!);
}

/** Half-split rotary embedding of one head. @param v (headDim) @param frequencies (headDim / 2) */
export function rotate(v: ArrayLike<number>, position: number, frequencies: ArrayLike<number>): Float64Array {
  const half = frequencies.length;
  const out = new Float64Array(half * 2);
  for (let i = 0; i < half; i++) {
    const angle = position * frequencies[i]!;
    const [a, b] = [v[i]!, v[i + half]!];
    out[i] = a * Math.cos(angle) - b * Math.sin(angle);
    out[i + half] = b * Math.cos(angle) + a * Math.sin(angle);
  }
  return out;
}

/** softmax(q·k / sqrt(headDim)) v for one query head. @param q (headDim) @param keys, values (positions)(headDim) */
export function attend(
  q: ArrayLike<number>,
  keys: readonly ArrayLike<number>[],
  values: readonly ArrayLike<number>[],
): Float64Array {
  const scale = 1 / Math.sqrt(q.length);
  const scores = keys.map((key) => {
    let dot = 0;
    for (let d = 0; d < q.length; d++) dot += q[d]! * key[d]!;
    return dot * scale;
  });
  const highest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - highest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const out = new Float64Array(q.length);
  for (const [i, value] of values.entries()) {
    for (let d = 0; d < out.length; d++) out[d]! += (weights[i]! / total) * value[d]!;
  }
  return out;
}

/** silu(gate) × up, silu(g) = g / (1 + e^-g) (Shazeer 2020). */
export function swiglu(gate: ArrayLike<number>, up: ArrayLike<number>): Float64Array {
  return Float64Array.from(
    { length: gate.length },
    (_, i) => (gate[i]! / (1 + Math.exp(-gate[i]!))) * up[i]!,
  );
}
