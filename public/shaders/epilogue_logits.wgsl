// Shared piece: y(row, out) = dot, checked for Inf and NaN. y is (rows, Y_STRIDE) f32.
// #include "status.wgsl"
@group(1) @binding(4) var<storage, read_write> y: array<f32>;
override Y_STRIDE: u32;

fn emit2(row: u32, out: u32, end: u32, a: f32, b: f32) {
  if (out < end) {
    check_value(a, false);
    y[row * Y_STRIDE + out] = a;
  }
  if (out + 1u < end) {
    check_value(b, false);
    y[row * Y_STRIDE + out + 1u] = b;
  }
}
