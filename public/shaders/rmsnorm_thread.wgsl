// Purpose:  RMSNorm, a thread a row. For adapters where barriers are dear.
// Formula:  y(r, i) = x(s, i) / sqrt(Σ x(s, ·)² / HIDDEN + EPS) × w(i), s = row_map(base + r); order of lanes.wgsl.
// Dispatch: ceil(rows / 8) workgroups of 8.
// Bindings: x (rows, BLOCKS × 32) f32, row_map (rows) u32, w (BLOCKS × 32) f32, y (rows, BLOCKS × 32) f32.
// Limits:   columns beyond HIDDEN are zero in x and w, hence in y.
// #include "step.wgsl"
@group(1) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(1) @binding(1) var<storage, read> row_map: array<u32>;
@group(1) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(1) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
override BLOCKS: u32;
override LANES: u32;
override HIDDEN: f32;
override EPS: f32;
alias Sum = f32;
// #include "lanes.wgsl"

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.x;
  if (row >= step.rows) { return; }
  let source = row_map[step.base + row] * BLOCKS * 8u;
  var stack: LaneStack;
  for (var lane = 0u; lane < LANES; lane++) {
    var a = 0.0;
    for (var b = lane; b < BLOCKS; b += LANES) {
      for (var quad = 0u; quad < 8u; quad++) {
        let v = x[source + b * 8u + quad];
        a = fma(v.x, v.x, a);
        a = fma(v.y, v.y, a);
        a = fma(v.z, v.z, a);
        a = fma(v.w, v.w, a);
      }
    }
    push_lane(&stack, lane, a);
  }
  let inverse = inverseSqrt(merged_lanes(&stack) / HIDDEN + EPS);
  let to = row * BLOCKS * 8u;
  for (var i = 0u; i < BLOCKS * 8u; i++) {
    y[to + i] = (x[source + i] * inverse) * w[i];
  }
}
