/** Builds safetensors files, right ones and wrong ones. */
export interface HeaderEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

export function safetensorsFile(
  header: unknown,
  data: Uint8Array = new Uint8Array(),
  claimedHeaderBytes?: bigint,
): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + json.length + data.length);
  new DataView(file.buffer).setBigUint64(0, claimedHeaderBytes ?? BigInt(json.length), true);
  file.set(json, 8);
  file.set(data, 8 + json.length);
  return file;
}

/** Tensors one after another, filled with bytes that differ from place to place. */
export function tensorFile(
  tensors: readonly { name: string; shape: readonly number[] }[],
  dtype: 'F16' | 'F32' = 'F16',
) {
  const header: Record<string, HeaderEntry> = {};
  let offset = 0;
  for (const { name, shape } of tensors) {
    const end = offset + shape.reduce((product, n) => product * n, dtype === 'F16' ? 2 : 4);
    header[name] = { dtype, shape: [...shape], data_offsets: [offset, end] };
    offset = end;
  }
  const data = Uint8Array.from({ length: offset }, (_, i) => (i * 31 + (i >> 8) * 17) & 0xff);
  return safetensorsFile(header, data);
}
