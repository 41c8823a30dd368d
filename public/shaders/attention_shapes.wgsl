// Shared piece: bindings of the two kernels that attend to one KV block (a page of PAGE positions) for one row and head.
// qkv (rows, QKV_STRIDE) f32; row_info (rows): position, start of its page table; pages: page numbers;
// k_pool (pages, KV_HEADS, HEAD_DIM, PAGE) f32; v_pool (pages, KV_HEADS, PAGE, V_QUADS × 4) f32;
// partials (rows of the group, HEADS, blocks, 1 + V_QUADS) vec4: (max, sum, 0, 0), then Σ e^(score - max) v.
@group(1) @binding(0) var<storage, read> qkv: array<f32>;
@group(1) @binding(1) var<storage, read> row_info: array<vec2<u32>>;
@group(1) @binding(2) var<storage, read> pages: array<u32>;
@group(1) @binding(3) var<storage, read> k_pool: array<{K_ELEMENT}>;
@group(1) @binding(4) var<storage, read> v_pool: array<vec4<f32>>;
@group(1) @binding(5) var<storage, read_write> partials: array<vec4<f32>>;
override HEADS: u32;
override KV_HEADS: u32;
override HEAD_DIM: u32;
override QKV_STRIDE: u32;
override V_QUADS: u32;
override SCALE: f32;
const PAGE = {PAGE}u;
