// Purpose:  hidden states from the activation buffer to the wire.
// Formula:  wire value number row × HIDDEN + i = x(row, i); rows are densely packed in the bytes.
// Dispatch: x: ceil(rows × HIDDEN / 64) workgroups of 64 folded to two dimensions, one thread an output word.
// Bindings: x (rows, STRIDE) f32, wire (rows × HIDDEN values of f16, two to a u32, or f32).
// Limits:   f16 where step.round_f16 is 1, else f32; an odd count of f16 values leaves the last upper half zero.
// #include "step.wgsl"
// #include "half.wgsl"
@group(1) @binding(0) var<storage, read> x: array<f32>;
@group(1) @binding(1) var<storage, read_write> wire: array<u32>;
override HIDDEN: u32;
override STRIDE: u32;

fn value(e: u32) -> f32 { return x[(e / HIDDEN) * STRIDE + e % HIDDEN]; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let word = id.x + id.y * groups.x * 64u;
  let values = step.rows * HIDDEN;
  if (step.round_f16 == 0u) {
    if (word < values) { wire[word] = bitcast<u32>(value(word)); }
    return;
  }
  let e = word * 2u;
  if (e >= values) { return; }
  var packed = f16_bits(value(e));
  if (e + 1u < values) { packed |= f16_bits(value(e + 1u)) << 16u; }
  wire[word] = packed;
}
