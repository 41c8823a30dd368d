// Shared piece: weights (outputs, blocks × 32) f16, two to a u32, low half first. No `shader-f16` needed.
@group(1) @binding(0) var<storage, read> weights: array<vec2<u32>>;

fn block_scale(o: u32, b: u32) -> f32 { return 1.0; }
fn weight4(o: u32, b: u32, quad: u32, scale: f32) -> vec4<f32> {
  let w = weights[(o * BLOCKS + b) * 8u + quad];
  return vec4<f32>(unpack2x16float(w.x), unpack2x16float(w.y));
}
