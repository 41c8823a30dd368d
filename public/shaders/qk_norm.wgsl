// Purpose:  RMSNorm over each head of q and k, before the rotary embedding (Qwen3).
// Formula:  v(i) = v(i) / sqrt(Σ v² / HEAD_DIM + EPS) × w(i), in place, w for q or for k; summed in sequence.
// Dispatch: ceil(rows × (HEADS + KV_HEADS) / 64) workgroups of 64, a thread a head.
// Bindings: qkv (rows, QKV_STRIDE) f32, w (2, HEAD_DIM) f32: q's, then k's.
// #include "step.wgsl"
@group(1) @binding(0) var<storage, read_write> qkv: array<f32>;
@group(1) @binding(1) var<storage, read> w: array<f32>;
override HEADS: u32;
override KV_HEADS: u32;
override HEAD_DIM: u32;
override QKV_STRIDE: u32;
override EPS: f32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.x / (HEADS + KV_HEADS);
  let head = id.x % (HEADS + KV_HEADS);
  if (row >= step.rows) { return; }
  let at = row * QKV_STRIDE + head * HEAD_DIM;
  let w_at = select(0u, HEAD_DIM, head >= HEADS);
  var sum = 0.0;
  for (var i = 0u; i < HEAD_DIM; i++) { sum = fma(qkv[at + i], qkv[at + i], sum); }
  let inverse = inverseSqrt(sum / f32(HEAD_DIM) + EPS);
  for (var i = 0u; i < HEAD_DIM; i++) { qkv[at + i] = (qkv[at + i] * inverse) * w[w_at + i]; }
}
