// Shared piece: weights (outputs, blocks × 32) f32. `weight4` gives weights 4·quad … 4·quad+3 of block `b` of row `o`.
@group(1) @binding(0) var<storage, read> weights: array<vec4<f32>>;

fn block_scale(o: u32, b: u32) -> f32 { return 1.0; }
fn weight4(o: u32, b: u32, quad: u32, scale: f32) -> vec4<f32> {
  return weights[(o * BLOCKS + b) * 8u + quad];
}
