// Shared piece: outputs come in pairs (gate i, up i): y(row, i) = silu(gate) × up, silu(g) = g / (1 + e^-g).
// y is (rows, Y_STRIDE) f32; bias is (2 × intermediate): all of gate's, then all of up's.
@group(1) @binding(3) var<storage, read> bias: array<f32>;
@group(1) @binding(4) var<storage, read_write> y: array<f32>;
override HAS_BIAS: bool;
override Y_STRIDE: u32;
override INTERMEDIATE: u32;

fn emit2(row: u32, out: u32, end: u32, a: f32, b: f32) {
  if (out >= end) { return; }
  let i = out / 2u;
  var gate = a;
  var up = b;
  if (HAS_BIAS) {
    gate += bias[i];
    up += bias[INTERMEDIATE + i];
  }
  y[row * Y_STRIDE + i] = gate / (1.0 + exp(-gate)) * up;
}
