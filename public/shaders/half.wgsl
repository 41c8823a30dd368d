// Shared piece: f32 <-> f16 in integer arithmetic, round to nearest even, subnormals kept. WGSL leaves the rounding of
// quantizeToF16 and pack2x16float, and the flushing of subnormals, to the adapter; the wire must not depend on it.
fn f16_bits(v: f32) -> u32 {
  let u = bitcast<u32>(v);
  let sign = (u >> 16u) & 0x8000u;
  let a = u & 0x7fffffffu;
  if (a >= 0x477ff000u) { // 65520 and beyond round to infinity
    return sign | select(0x7c00u, 0x7e00u, a > 0x7f800000u);
  }
  if (a < 0x38800000u) { // below 2^-14: a multiple of 2^-24; `round` ties to even
    return sign | u32(round(bitcast<f32>(a) * 16777216.0));
  }
  return sign | ((a + 0xfffu + ((a >> 13u) & 1u) - 0x38000000u) >> 13u);
}

fn f16_value(bits: u32) -> f32 {
  let m = bits & 0x7fffu;
  let sign = (bits & 0x8000u) << 16u;
  if (m >= 0x7c00u) { return bitcast<f32>(sign | 0x7f800000u | ((m & 0x3ffu) << 13u)); }
  if (m < 0x400u) { return bitcast<f32>(sign | bitcast<u32>(f32(m) * 5.9604644775390625e-8)); }
  return bitcast<f32>(sign | ((m << 13u) + 0x38000000u));
}

fn round_f16(v: f32) -> f32 { return f16_value(f16_bits(v)); }
