// Shared piece: y(row, out) += dot + bias. y is (rows, Y_STRIDE) f32. At a layer's end (LAYER_END) the value is checked
// and, where the run says so, rounded to f16, whether or not a cut lies there.
// #include "half.wgsl"
// #include "status.wgsl"
@group(1) @binding(3) var<storage, read> bias: array<f32>;
@group(1) @binding(4) var<storage, read_write> y: array<f32>;
override HAS_BIAS: bool;
override LAYER_END: bool;
override Y_STRIDE: u32;

fn emit(row: u32, out: u32, dot: f32) {
  var v = dot;
  if (HAS_BIAS) { v += bias[out]; }
  v += y[row * Y_STRIDE + out];
  if (LAYER_END) {
    check_value(v, step.round_f16 == 1u);
    if (step.round_f16 == 1u) { v = round_f16(v); }
  }
  y[row * Y_STRIDE + out] = v;
}
fn emit2(row: u32, out: u32, end: u32, a: f32, b: f32) {
  if (out < end) { emit(row, out, a); }
  if (out + 1u < end) { emit(row, out + 1u, b); }
}
