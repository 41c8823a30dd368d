// Purpose:  attention of one row and head to one KV block, a thread each. For adapters where barriers are dear.
// Formula:  s(i) = SCALE × Σ_d q(d) k(i, d); m = max s; e(i) = exp(s(i) - m); partial = (m, Σ e(i), Σ e(i) v(i, ·)),
//           every sum in sequence over the block's positions up to the row's own.
// Dispatch: ceil(rows × HEADS × blocks / 16) workgroups of 16 folded to two dimensions.
// Bindings: see attention_shapes.wgsl.
// #include "step.wgsl"
// #include "attention_shapes.wgsl"
// Keys are read four positions at a time.
const_assert PAGE % 4u == 0u;

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let index = id.x + id.y * groups.x * 16u;
  let block = index % step.blocks;
  let head = (index / step.blocks) % HEADS;
  let row = index / (step.blocks * HEADS);
  if (row >= step.rows) { return; }
  let info = row_info[step.base + row];
  if (block * PAGE > info.x) { return; }
  let count = min(PAGE, info.x - block * PAGE + 1u);
  let kv = pages[info.y + block] * KV_HEADS + head / (HEADS / KV_HEADS);
  let q_at = (step.base + row) * QKV_STRIDE + head * HEAD_DIM;
  var scores: array<vec4<f32>, PAGE / 4u>;
  var highest = -3.4e38;
  for (var i = 0u; i * 4u < count; i++) {
    var s = vec4<f32>(0.0);
    for (var d = 0u; d < HEAD_DIM; d++) {
      s = fma(vec4<f32>(qkv[q_at + d]), k_pool[(kv * HEAD_DIM + d) * (PAGE / 4u) + i], s);
    }
    s *= SCALE;
    scores[i] = s;
    for (var j = 0u; j < 4u; j++) {
      if (i * 4u + j < count) { highest = max(highest, s[j]); }
    }
  }
  var sum = 0.0;
  for (var i = 0u; i < count; i++) {
    let e = exp(scores[i / 4u][i % 4u] - highest);
    scores[i / 4u][i % 4u] = e;
    sum += e;
  }
  let to = index * (1u + V_QUADS);
  partials[to] = vec4<f32>(highest, sum, 0.0, 0.0);
  for (var d = 0u; d < V_QUADS; d++) {
    var o = vec4<f32>(0.0);
    for (var i = 0u; i < count; i++) {
      o = fma(vec4<f32>(scores[i / 4u][i % 4u]), v_pool[(kv * PAGE + i) * V_QUADS + d], o);
    }
    partials[to + 1u + d] = o;
  }
}
