// Purpose:  what WGSL leaves to an adapter (exp, inverseSqrt, division, whether a product and a sum are contracted, f16
//           scales), in the expressions of the kernels, so that the bits of the results tell adapters apart. No model runs it.
// Formula:  see each line: the kernel that it is taken from.
// Dispatch: 1 workgroup of 64; thread i reads x(8 i) … x(8 i + 31) and row i of the weights.
// Bindings: weights (64, 32) q8, scales, x (536) f32, y (64, 11) the bits of f32.
// #include "step.wgsl"
override BLOCKS: u32;
// #include "weights_q8.wgsl"
// #include "half.wgsl"
@group(1) @binding(2) var<storage, read> x: array<f32>;
@group(1) @binding(3) var<storage, read_write> y: array<u32>;
const SCALE = 5.6568542;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
  let at = i * 8u;
  let scale = block_scale(i, 0u);
  var dot = 0.0;
  var squares = 0.0;
  var highest = -3.4e38;
  for (var k = 0u; k < 32u; k++) {
    let v = x[at + k];
    dot = fma(weight4(i, 0u, k / 4u, scale)[k % 4u], v, dot);
    squares = fma(v, v, squares);
    highest = max(highest, v * SCALE);
  }
  var sum = 0.0;
  var o = 0.0;
  for (var k = 0u; k < 32u; k++) {
    let v = x[at + k];
    let e = exp(v * SCALE - highest);
    sum += e;
    o = fma(e, v, o);
  }
  let a = x[at] * 16.0;
  let b = x[at + 1u];
  let c = x[at + 2u];
  let s = x[at + 3u];
  let residual = dot * scale + b + c;
  let to = i * 11u;
  y[to] = bitcast<u32>(dot);
  y[to + 1u] = bitcast<u32>(sum);
  y[to + 2u] = bitcast<u32>(o / sum);
  y[to + 3u] = bitcast<u32>(a / (1.0 + exp(-a)) * b);
  y[to + 4u] = bitcast<u32>(fma(a, c, -(b * s)));
  y[to + 5u] = bitcast<u32>((b * inverseSqrt(squares / 32.0 + 1e-5)) * c);
  y[to + 6u] = bitcast<u32>(residual);
  // The last two lie halfway between two f16 values, normal and subnormal.
  let n = f32(i);
  var unrounded = vec4<f32>(residual, residual * 3e-6, 2049.0 + 2.0 * n, (n + 0.5) * 5.9604644775390625e-8);
  for (var k = 0u; k < 4u; k++) { y[to + 7u + k] = bitcast<u32>(round_f16(unrounded[k])); }
}
