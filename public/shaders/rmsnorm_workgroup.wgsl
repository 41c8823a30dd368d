// Purpose:  RMSNorm, a workgroup a row. For adapters where barriers are cheap.
// Formula:  as rmsnorm_thread.wgsl, in the same order, with the same bits.
// Dispatch: rows workgroups of 32.
// Bindings: as rmsnorm_thread.wgsl.
// Limits:   LANES ≤ 32.
// #include "step.wgsl"
@group(1) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(1) @binding(1) var<storage, read> row_map: array<u32>;
@group(1) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(1) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
override BLOCKS: u32;
override LANES: u32;
override HIDDEN: f32;
override EPS: f32;
var<workgroup> partial: array<f32, 32>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = group.x;
  let source = row_map[step.base + row] * BLOCKS * 8u;
  var a = 0.0;
  if (lane < LANES) {
    for (var b = lane; b < BLOCKS; b += LANES) {
      for (var quad = 0u; quad < 8u; quad++) {
        let v = x[source + b * 8u + quad];
        a = fma(v.x, v.x, a);
        a = fma(v.y, v.y, a);
        a = fma(v.z, v.z, a);
        a = fma(v.w, v.w, a);
      }
    }
  }
  partial[lane] = a;
  workgroupBarrier();
  for (var stride = 1u; stride < LANES; stride *= 2u) {
    if (lane < LANES && lane % (2u * stride) == 0u) { partial[lane] = partial[lane] + partial[lane + stride]; }
    workgroupBarrier();
  }
  let inverse = inverseSqrt(partial[0] / HIDDEN + EPS);
  let to = row * BLOCKS * 8u;
  for (var i = lane; i < BLOCKS * 8u; i += 32u) {
    y[to + i] = (x[source + i] * inverse) * w[i];
  }
}
