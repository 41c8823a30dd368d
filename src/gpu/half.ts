/** f16 and bf16 on the CPU: exact to f32, and f32 to f16 with round to nearest even (IEEE 754). */

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** @returns the 16 bits of the f16 nearest to `value`; subnormals kept, overflow to infinity */
export function f16Bits(value: number): number {
  scratch[0] = value;
  const bits = scratchBits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const a = bits & 0x7fffffff;
  if (a >= 0x477ff000) return sign | (a > 0x7f800000 ? 0x7e00 : 0x7c00);
  if (a < 0x38800000) {
    const scaled = Math.abs(scratch[0]!) * 2 ** 24;
    const floor = Math.floor(scaled);
    const rest = scaled - floor;
    const up = rest > 0.5 || (rest === 0.5 && floor % 2 === 1);
    return sign | (floor + (up ? 1 : 0));
  }
  return sign | ((a + 0xfff + ((a >>> 13) & 1) - 0x38000000) >>> 13);
}

export function f16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

export function roundF16(value: number): number {
  return f16Value(f16Bits(value));
}

export function bf16Value(bits: number): number {
  scratchBits[0] = bits << 16;
  return scratch[0]!;
}

/** All 65,536 values once; a table is several times faster than arithmetic where whole matrices are converted. */
let f16Table: Float32Array | undefined;

export function f16Values(): Float32Array {
  f16Table ??= Float32Array.from({ length: 65_536 }, (_, bits) => f16Value(bits));
  return f16Table;
}
