// Purpose:  y = W x for many rows of x (prefill, batches); a thread computes four outputs of four rows, so that a weight
//           is read and unpacked once for four rows.
// Formula:  y(row, o) = epilogue(Σ_k W(o, k) · x(row, k)), summed in the order of lanes.wgsl, each sum by itself.
// Dispatch: x, y: ceil(outputs / 4 / WORKGROUP) workgroups folded to two dimensions; z: ceil(rows / 4).
// Bindings: as matmul_thread.wgsl.
// Limits:   rows beyond the last are computed from the last row and not written.
// #include "step.wgsl"
// #include "matrix_tile.wgsl"
// #include "{WEIGHTS}.wgsl"
// #include "{EPILOGUE}.wgsl"
@group(1) @binding(2) var<storage, read> x: array<vec4<f32>>;
override WORKGROUP: u32;
alias Sum = mat4x4<f32>;
// #include "lanes.wgsl"

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let o = (id.x + id.y * groups.x * WORKGROUP) * 4u;
  let row = id.z * 4u;
  if (o >= TILE_OUTPUTS || row >= step.rows) { return; }
  let r0 = stored_row(o);
  let r1 = stored_row(o + 1u);
  let r2 = stored_row(o + 2u);
  let r3 = stored_row(o + 3u);
  let last = step.rows - 1u;
  let x0_row = row * BLOCKS * 8u;
  let x1_row = min(row + 1u, last) * BLOCKS * 8u;
  let x2_row = min(row + 2u, last) * BLOCKS * 8u;
  let x3_row = min(row + 3u, last) * BLOCKS * 8u;
  var stack: LaneStack;
  for (var lane = 0u; lane < LANES; lane++) {
    var a0 = vec4<f32>(0.0);
    var a1 = vec4<f32>(0.0);
    var a2 = vec4<f32>(0.0);
    var a3 = vec4<f32>(0.0);
    for (var b = lane; b < BLOCKS; b += LANES) {
      let s0 = block_scale(r0, b);
      let s1 = block_scale(r1, b);
      let s2 = block_scale(r2, b);
      let s3 = block_scale(r3, b);
      for (var quad = 0u; quad < 8u; quad++) {
        let at = b * 8u + quad;
        let x0 = x[x0_row + at];
        let x1 = x[x1_row + at];
        let x2 = x[x2_row + at];
        let x3 = x[x3_row + at];
        let w0 = weight4(r0, b, quad, s0);
        let w1 = weight4(r1, b, quad, s1);
        let w2 = weight4(r2, b, quad, s2);
        let w3 = weight4(r3, b, quad, s3);
        let k0 = vec4<f32>(w0.x, w1.x, w2.x, w3.x);
        a0 = fma(k0, vec4<f32>(x0.x), a0);
        a1 = fma(k0, vec4<f32>(x1.x), a1);
        a2 = fma(k0, vec4<f32>(x2.x), a2);
        a3 = fma(k0, vec4<f32>(x3.x), a3);
        let k1 = vec4<f32>(w0.y, w1.y, w2.y, w3.y);
        a0 = fma(k1, vec4<f32>(x0.y), a0);
        a1 = fma(k1, vec4<f32>(x1.y), a1);
        a2 = fma(k1, vec4<f32>(x2.y), a2);
        a3 = fma(k1, vec4<f32>(x3.y), a3);
        let k2 = vec4<f32>(w0.z, w1.z, w2.z, w3.z);
        a0 = fma(k2, vec4<f32>(x0.z), a0);
        a1 = fma(k2, vec4<f32>(x1.z), a1);
        a2 = fma(k2, vec4<f32>(x2.z), a2);
        a3 = fma(k2, vec4<f32>(x3.z), a3);
        let k3 = vec4<f32>(w0.w, w1.w, w2.w, w3.w);
        a0 = fma(k3, vec4<f32>(x0.w), a0);
        a1 = fma(k3, vec4<f32>(x1.w), a1);
        a2 = fma(k3, vec4<f32>(x2.w), a2);
        a3 = fma(k3, vec4<f32>(x3.w), a3);
      }
    }
    push_lane(&stack, lane, mat4x4<f32>(a0, a1, a2, a3));
  }
  let v = merged_lanes(&stack);
  let out = TILE_START + o;
  let end = TILE_START + TILE_OUTPUTS;
  emit2(row, out, end, v[0].x, v[0].y);
  emit2(row, out + 2u, end, v[0].z, v[0].w);
  if (row + 1u < step.rows) {
    emit2(row + 1u, out, end, v[1].x, v[1].y);
    emit2(row + 1u, out + 2u, end, v[1].z, v[1].w);
  }
  if (row + 2u < step.rows) {
    emit2(row + 2u, out, end, v[2].x, v[2].y);
    emit2(row + 2u, out + 2u, end, v[2].z, v[2].w);
  }
  if (row + 3u < step.rows) {
    emit2(row + 3u, out, end, v[3].x, v[3].y);
    emit2(row + 3u, out + 2u, end, v[3].z, v[3].w);
  }
}
