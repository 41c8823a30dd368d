// Purpose:  rotary embedding of q (in place) and k, and k and v into the KV pages.
// Formula:  (a, b) -> (a cos - b sin, b cos + a sin) with a = v(i), b = v(i + HEAD_DIM / 2): the half-split layout of
//           Hugging Face's Llama. cos and sin come from a table made in f64 on the CPU.
// Dispatch: ceil(rows × (HEADS + 2 KV_HEADS) × HEAD_DIM / 2 / 64) workgroups of 64, a thread a pair.
// Bindings: qkv (rows, QKV_STRIDE) f32: q heads, k heads, v heads; row_info (rows): position, start of its page table;
//           pages: page numbers; angles (positions, HEAD_DIM / 2): cos, sin;
//           k_pool (pages, KV_HEADS, HEAD_DIM, PAGE) f32; v_pool (pages, KV_HEADS, PAGE, V_STRIDE) f32.
// #include "step.wgsl"
@group(1) @binding(0) var<storage, read_write> qkv: array<f32>;
@group(1) @binding(1) var<storage, read> row_info: array<vec2<u32>>;
@group(1) @binding(2) var<storage, read> pages: array<u32>;
@group(1) @binding(3) var<storage, read> angles: array<vec2<f32>>;
@group(1) @binding(4) var<storage, read_write> k_pool: array<f32>;
@group(1) @binding(5) var<storage, read_write> v_pool: array<f32>;
override HEADS: u32;
override KV_HEADS: u32;
override HEAD_DIM: u32;
override QKV_STRIDE: u32;
override V_STRIDE: u32;
override PAGE: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let half_dim = HEAD_DIM / 2u;
  let i = id.x % half_dim;
  let head = (id.x / half_dim) % (HEADS + 2u * KV_HEADS);
  let row = id.x / (half_dim * (HEADS + 2u * KV_HEADS));
  if (row >= step.rows) { return; }
  let position = row_info[row].x;
  let page = pages[row_info[row].y + position / PAGE];
  let slot = position % PAGE;
  let at = row * QKV_STRIDE + head * HEAD_DIM + i;
  let a = qkv[at];
  let b = qkv[at + half_dim];
  if (head >= HEADS + KV_HEADS) {
    let to = ((page * KV_HEADS + head - HEADS - KV_HEADS) * PAGE + slot) * V_STRIDE + i;
    v_pool[to] = a;
    v_pool[to + half_dim] = b;
    return;
  }
  let angle = angles[position * half_dim + i];
  let ra = fma(a, angle.x, -(b * angle.y));
  let rb = fma(b, angle.x, a * angle.y);
  if (head >= HEADS) {
    let to = (page * KV_HEADS + head - HEADS) * HEAD_DIM;
    k_pool[(to + i) * PAGE + slot] = ra;
    k_pool[(to + half_dim + i) * PAGE + slot] = rb;
  } else {
    qkv[at] = ra;
    qkv[at + half_dim] = rb;
  }
}
