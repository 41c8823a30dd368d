// Shared piece: weights (outputs, blocks × 32) of 4 bits, eight to a u32, lowest bits first, stored as value + 8, and
// (outputs, blocks rounded up to even) f16 scales, two to a u32. A weight is scale × integer, exact in f32.
@group(1) @binding(0) var<storage, read> weights: array<u32>;
@group(1) @binding(1) var<storage, read> scales: array<u32>;

fn block_scale(o: u32, b: u32) -> f32 {
  let pair = unpack2x16float(scales[o * ((BLOCKS + 1u) / 2u) + b / 2u]);
  return select(pair.x, pair.y, (b & 1u) == 1u);
}
fn weight4(o: u32, b: u32, quad: u32, scale: f32) -> vec4<f32> {
  let w = weights[(o * BLOCKS + b) * 4u + quad / 2u] >> ((quad & 1u) * 16u);
  let nibbles = vec4<u32>(w, w >> 4u, w >> 8u, w >> 12u) & vec4<u32>(15u);
  return (vec4<f32>(nibbles) - 8.0) * scale;
}
