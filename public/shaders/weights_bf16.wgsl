// Shared piece: weights (outputs, blocks × 32) bf16, two to a u32, low half first. bf16 is the upper half of an f32.
@group(1) @binding(0) var<storage, read> weights: array<vec2<u32>>;

fn block_scale(o: u32, b: u32) -> f32 { return 1.0; }
fn weight4(o: u32, b: u32, quad: u32, scale: f32) -> vec4<f32> {
  let w = weights[(o * BLOCKS + b) * 8u + quad];
  let low = w << vec2<u32>(16u);
  let high = w & vec2<u32>(0xffff0000u);
  return bitcast<vec4<f32>>(vec4<u32>(low.x, high.x, low.y, high.y));
}
