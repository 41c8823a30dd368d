// Purpose:  y = W x for a few rows of x; a thread computes four outputs of one row. For adapters where barriers are dear.
// Formula:  y(row, o) = epilogue(Σ_k W(o, k) · x(row, k)), summed in the order of lanes.wgsl.
// Dispatch: x, y: ceil(outputs / 4 / WORKGROUP) workgroups folded to two dimensions; z: rows.
// Bindings: weights (outputs, blocks × 32), scales, x (rows, blocks × 32) f32, bias, y, status: see the included pieces.
// Limits:   columns of x beyond K are zero and so are the weights there.
// #include "step.wgsl"
// #include "matrix_tile.wgsl"
// #include "{WEIGHTS}.wgsl"
// #include "{EPILOGUE}.wgsl"
@group(1) @binding(2) var<storage, read> x: array<vec4<f32>>;
override WORKGROUP: u32;
alias Sum = vec4<f32>;
// #include "lanes.wgsl"

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let o = (id.x + id.y * groups.x * WORKGROUP) * 4u;
  let row = id.z;
  if (o >= TILE_OUTPUTS) { return; }
  let r0 = stored_row(o);
  let r1 = stored_row(o + 1u);
  let r2 = stored_row(o + 2u);
  let r3 = stored_row(o + 3u);
  let x_row = row * BLOCKS * 8u;
  var stack: LaneStack;
  for (var lane = 0u; lane < LANES; lane++) {
    var a = vec4<f32>(0.0);
    for (var b = lane; b < BLOCKS; b += LANES) {
      let s0 = block_scale(r0, b);
      let s1 = block_scale(r1, b);
      let s2 = block_scale(r2, b);
      let s3 = block_scale(r3, b);
      for (var quad = 0u; quad < 8u; quad++) {
        let xv = x[x_row + b * 8u + quad];
        let w0 = weight4(r0, b, quad, s0);
        let w1 = weight4(r1, b, quad, s1);
        let w2 = weight4(r2, b, quad, s2);
        let w3 = weight4(r3, b, quad, s3);
        a = fma(vec4<f32>(w0.x, w1.x, w2.x, w3.x), vec4<f32>(xv.x), a);
        a = fma(vec4<f32>(w0.y, w1.y, w2.y, w3.y), vec4<f32>(xv.y), a);
        a = fma(vec4<f32>(w0.z, w1.z, w2.z, w3.z), vec4<f32>(xv.z), a);
        a = fma(vec4<f32>(w0.w, w1.w, w2.w, w3.w), vec4<f32>(xv.w), a);
      }
    }
    push_lane(&stack, lane, a);
  }
  let v = merged_lanes(&stack);
  let out = TILE_START + o;
  let end = TILE_START + TILE_OUTPUTS;
  emit2(row, out, end, v.x, v.y);
  emit2(row, out + 2u, end, v.z, v.w);
}
