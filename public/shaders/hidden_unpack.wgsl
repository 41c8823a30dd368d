// Purpose:  hidden states from the wire into the activation buffer.
// Formula:  x(row, i) = wire value number row × HIDDEN + i; rows are densely packed in the bytes.
// Dispatch: x: ceil(HIDDEN / 64) workgroups of 64; y: rows.
// Bindings: wire (rows × HIDDEN values of f16, two to a u32, or f32), x (rows, STRIDE) f32.
// Limits:   f16 where step.round_f16 is 1, else f32. Columns beyond HIDDEN stay as they are: zero.
// #include "step.wgsl"
// #include "half.wgsl"
@group(1) @binding(0) var<storage, read> wire: array<u32>;
@group(1) @binding(1) var<storage, read_write> x: array<f32>;
override HIDDEN: u32;
override STRIDE: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= HIDDEN) { return; }
  let e = id.y * HIDDEN + id.x;
  var v: f32;
  if (step.round_f16 == 1u) {
    v = f16_value((wire[e / 2u] >> ((e & 1u) * 16u)) & 0xffffu);
  } else {
    v = bitcast<f32>(wire[e]);
  }
  x[id.y * STRIDE + id.x] = v;
}
