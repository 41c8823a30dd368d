// Purpose:  the greedy token of a row of logits.
// Formula:  ids(base + row) = the lowest i with logits(row, i) = max.
// Dispatch: rows workgroups of 256: a thread scans every 256th logit, then thread 0 scans the threads.
// Bindings: logits (rows, VOCAB) f32, ids (rows of the micro-batch) u32.
// Limits:   logits are finite (checked where they are written).
// #include "step.wgsl"
@group(1) @binding(0) var<storage, read> logits: array<f32>;
@group(1) @binding(1) var<storage, read_write> ids: array<u32>;
override VOCAB: u32;
var<workgroup> best: array<f32, 256>;
var<workgroup> best_at: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = group.x * VOCAB;
  var high = -3.4e38;
  var at = 0xffffffffu;
  for (var i = thread; i < VOCAB; i += 256u) {
    let v = logits[row + i];
    if (at == 0xffffffffu || v > high) {
      high = v;
      at = i;
    }
  }
  best[thread] = high;
  best_at[thread] = at;
  workgroupBarrier();
  if (thread != 0u) { return; }
  for (var t = 1u; t < min(256u, VOCAB); t++) {
    if (best[t] > high || (best[t] == high && best_at[t] < at)) {
      high = best[t];
      at = best_at[t];
    }
  }
  ids[step.base + group.x] = at;
}
