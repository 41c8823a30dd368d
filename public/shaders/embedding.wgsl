// Purpose:  token embedding, one tile of the matrix.
// Formula:  x(row, ·) = E(tokens(row), ·) for the tokens of this tile.
// Dispatch: x: ceil(BLOCKS × 8 / 64) workgroups of 64; y: rows.
// Bindings: weights (vocab of the tile, BLOCKS × 32), scales, tokens (rows) u32, x (rows, BLOCKS × 32) f32.
// Limits:   ids were checked against the vocabulary before they came here.
// #include "step.wgsl"
override BLOCKS: u32;
override TILE_START: u32;
override TILE_OUTPUTS: u32;
// #include "{WEIGHTS}.wgsl"
@group(1) @binding(2) var<storage, read> tokens: array<u32>;
@group(1) @binding(3) var<storage, read_write> x: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  let row = id.y;
  let token = tokens[row];
  if (i >= BLOCKS * 8u || token < TILE_START || token >= TILE_START + TILE_OUTPUTS) { return; }
  let stored = token - TILE_START;
  let b = i / 8u;
  x[row * BLOCKS * 8u + i] = weight4(stored, b, i % 8u, block_scale(stored, b));
}
