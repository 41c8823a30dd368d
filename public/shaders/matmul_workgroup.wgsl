// Purpose:  y = W x for a few rows of x; a thread sums one lane of one output, neighbouring threads read neighbouring
//           blocks, and the lanes are merged in workgroup memory. For adapters where barriers are cheap.
// Formula:  y(row, o) = epilogue(Σ_k W(o, k) · x(row, k)), summed in the order of lanes.wgsl.
// Dispatch: x, y: ceil(outputs / (128 / LANES)) workgroups folded to two dimensions; z: rows.
// Bindings: as matmul_thread.wgsl.
// Limits:   128 threads a workgroup; LANES ≤ 32, so that a workgroup holds at least four outputs.
// #include "step.wgsl"
// #include "matrix_tile.wgsl"
// #include "{WEIGHTS}.wgsl"
// #include "{EPILOGUE}.wgsl"
@group(1) @binding(2) var<storage, read> x: array<vec4<f32>>;
var<workgroup> partial: array<f32, 128>;

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let outputs = 128u / LANES;
  let first = (group.x + group.y * groups.x) * outputs;
  let row = group.z;
  let lane = thread % LANES;
  let r = stored_row(first + thread / LANES);
  let x_row = row * BLOCKS * 8u;
  var a = 0.0;
  for (var b = lane; b < BLOCKS; b += LANES) {
    let scale = block_scale(r, b);
    for (var quad = 0u; quad < 8u; quad++) {
      let xv = x[x_row + b * 8u + quad];
      let w = weight4(r, b, quad, scale);
      a = fma(w.x, xv.x, a);
      a = fma(w.y, xv.y, a);
      a = fma(w.z, xv.z, a);
      a = fma(w.w, xv.w, a);
    }
  }
  partial[thread] = a;
  workgroupBarrier();
  for (var stride = 1u; stride < LANES; stride *= 2u) {
    if (lane % (2u * stride) == 0u) { partial[thread] = partial[thread] + partial[thread + stride]; }
    workgroupBarrier();
  }
  if (thread < outputs / 2u) {
    let out = first + 2u * thread;
    let at = 2u * thread * LANES;
    emit2(row, TILE_START + out, TILE_START + TILE_OUTPUTS, partial[at], partial[at + LANES]);
  }
}
