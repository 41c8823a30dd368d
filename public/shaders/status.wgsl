// Shared piece: a word that is read back with every result. Bit 0: a value is Inf or NaN. Bit 1: a value lies beyond
// the range of f16 while the run rounds to f16. The exponent is looked at as bits: WGSL may assume finite arithmetic.
@group(1) @binding(5) var<storage, read_write> status: array<atomic<u32>>;

fn check_value(v: f32, round_to_f16: bool) {
  let a = bitcast<u32>(v) & 0x7fffffffu;
  if (a >= 0x7f800000u) { atomicOr(&status[0], 1u); }
  else if (round_to_f16 && a > 0x477fe000u) { atomicOr(&status[0], 2u); } // 0x477fe000 is 65504
}
