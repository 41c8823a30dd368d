// Purpose:  merges a row's KV blocks into its attention output.
// Formula:  M = max m(b); out = Σ_b e^(m(b) - M) o(b) / Σ_b e^(m(b) - M) l(b), in block order: flash-decoding's split
//           softmax (Dao et al. 2023).
// Dispatch: ceil(rows × HEADS × V_QUADS / 64) workgroups of 64, a thread four columns of a head.
// Bindings: row_info (rows): position, page table; partials: see attention_shapes.wgsl; y (rows, Y_STRIDE) f32.
// #include "step.wgsl"
@group(1) @binding(0) var<storage, read> row_info: array<vec2<u32>>;
@group(1) @binding(1) var<storage, read> partials: array<vec4<f32>>;
@group(1) @binding(2) var<storage, read_write> y: array<f32>;
override HEADS: u32;
override HEAD_DIM: u32;
override V_QUADS: u32;
override Y_STRIDE: u32;
const PAGE = {PAGE}u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let quad = id.x % V_QUADS;
  let head = (id.x / V_QUADS) % HEADS;
  let row = id.x / (V_QUADS * HEADS);
  if (row >= step.rows) { return; }
  let blocks = row_info[step.base + row].x / PAGE + 1u;
  let first = (row * HEADS + head) * step.blocks;
  var highest = -3.4e38;
  for (var b = 0u; b < blocks; b++) { highest = max(highest, partials[(first + b) * (1u + V_QUADS)].x); }
  var sum = 0.0;
  var o = vec4<f32>(0.0);
  for (var b = 0u; b < blocks; b++) {
    let at = (first + b) * (1u + V_QUADS);
    let scale = exp(partials[at].x - highest);
    sum = fma(partials[at].y, scale, sum);
    o = fma(partials[at + 1u + quad], vec4<f32>(scale), o);
  }
  o = o / sum;
  let to = (step.base + row) * Y_STRIDE + head * HEAD_DIM;
  for (var j = 0u; j < 4u; j++) {
    if (quad * 4u + j < HEAD_DIM) { y[to + quad * 4u + j] = o[j]; }
  }
}
