// Purpose:  attention of one row and head to one KV block, a workgroup each: a thread a position, then a thread a part of
//           the head. For adapters where barriers are cheap.
// Formula:  as attention_thread.wgsl, in the same order, with the same bits.
// Dispatch: rows × HEADS × blocks workgroups of PAGE folded to two dimensions.
// Bindings: see attention_shapes.wgsl.
// #include "step.wgsl"
// #include "attention_shapes.wgsl"
var<workgroup> scores: array<f32, PAGE>;
var<workgroup> weights: array<f32, PAGE>;

@compute @workgroup_size(PAGE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = group.x + group.y * groups.x;
  let block = index % step.blocks;
  let head = (index / step.blocks) % HEADS;
  let row = min(index / (step.blocks * HEADS), step.rows - 1u);
  let info = row_info[step.base + row];
  let live = index < step.rows * HEADS * step.blocks && block * PAGE <= info.x;
  let count = select(0u, min(PAGE, info.x - block * PAGE + 1u), live);
  let kv = pages[info.y + select(0u, block, live)] * KV_HEADS + head / (HEADS / KV_HEADS);
  let q_at = (step.base + row) * QKV_STRIDE + head * HEAD_DIM;
  if (thread < count) {
    var s = 0.0;
    for (var d = 0u; d < HEAD_DIM; d++) {
      s = fma(qkv[q_at + d], k_pool[(kv * HEAD_DIM + d) * PAGE + thread], s);
    }
    scores[thread] = s * SCALE;
  }
  workgroupBarrier();
  var highest = -3.4e38;
  for (var i = 0u; i < count; i++) { highest = max(highest, scores[i]); }
  if (thread < count) { weights[thread] = exp(scores[thread] - highest); }
  workgroupBarrier();
  if (!live) { return; }
  let to = index * (1u + V_QUADS);
  if (thread == 0u) {
    var sum = 0.0;
    for (var i = 0u; i < count; i++) { sum += weights[i]; }
    partials[to] = vec4<f32>(highest, sum, 0.0, 0.0);
  }
  for (var d = thread; d < V_QUADS; d += PAGE) {
    var o = vec4<f32>(0.0);
    for (var i = 0u; i < count; i++) {
      o = fma(vec4<f32>(weights[i]), v_pool[(kv * PAGE + i) * V_QUADS + d], o);
    }
    partials[to + 1u + d] = o;
  }
}
