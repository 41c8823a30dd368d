import { describe, expect, it } from 'vitest';
import { parseSafetensorsHeader, safetensorsHeaderBytes } from '../../src/model/safetensors.ts';
import { parseSafetensorsIndex } from '../../src/model/safetensors-index.ts';
import { type HeaderEntry, safetensorsFile } from './safetensors-file.ts';

const a: HeaderEntry = { dtype: 'F16', shape: [2, 3], data_offsets: [0, 12] };
const b: HeaderEntry = { dtype: 'F32', shape: [2], data_offsets: [12, 20] };
const parse = (file: Uint8Array) => parseSafetensorsHeader(file, file.length);
const data = (bytes: number) => new Uint8Array(bytes);
const refusal = (message: RegExp) =>
  expect.objectContaining({ code: 'SAFETENSORS_INVALID', message: expect.stringMatching(message) });

describe('a right header', () => {
  it('gives tensors with byte ranges in the file, in their order', () => {
    const file = safetensorsFile({ __metadata__: { format: 'pt' }, b, a }, data(20));
    const start = file.length - 20;
    expect(parse(file)).toEqual([
      { name: 'a', dtype: 'F16', shape: [2, 3], start, end: start + 12 },
      { name: 'b', dtype: 'F32', shape: [2], start: start + 12, end: start + 20 },
    ]);
  });

  it('may be padded, hold scalars, empty tensors and formats that no model here needs', () => {
    const header = `${JSON.stringify({
      scalar: { dtype: 'I64', shape: [], data_offsets: [0, 8] },
      empty: { dtype: 'F64', shape: [0, 5], data_offsets: [8, 8] },
      nibbles: { dtype: 'F4', shape: [4], data_offsets: [8, 10] },
    })}      `;
    expect(parse(safetensorsFile(header, data(10))).map(({ name }) => name)).toEqual([
      'scalar',
      'empty',
      'nibbles',
    ]);
  });

  it('may name a tensor like a key of its own description', () => {
    const file = safetensorsFile({ dtype: a, shape: b }, data(20));
    expect(parse(file)).toHaveLength(2);
  });
});

describe('a length that lies', () => {
  it.each([
    ['an empty file', new Uint8Array(0), /0 bytes.*8-byte/],
    ['seven bytes', new Uint8Array(7), /7 bytes/],
    ['beyond the file', safetensorsFile({ a }, data(12), 5000n), /5000 bytes, only \d+ follow/],
    ['beyond the bound', safetensorsFile({ a }, data(12), 17_000_000n), /17000000 bytes, at most 16777216/],
    ['above 2^53', safetensorsFile({ a }, data(12), (1n << 53n) + 1n), /9007199254740993 bytes, at most/],
    ['the largest u64', safetensorsFile({ a }, data(12), (1n << 64n) - 1n), /18446744073709551615 bytes/],
  ])('is refused: %s', (_, file, message) => {
    expect(() => safetensorsHeaderBytes(file, file.length)).toThrow(refusal(message));
    expect(() => parse(file)).toThrow(refusal(message));
  });

  it('is refused when the header read is shorter than claimed', () => {
    const file = safetensorsFile({ a }, data(12));
    expect(() => parseSafetensorsHeader(file.subarray(0, 20), file.length)).toThrow(
      refusal(/needs \d+ bytes, 20 were read/),
    );
  });
});

describe('a header that lies', () => {
  it.each<[string, unknown, number, RegExp]>([
    ['not JSON', '{"a": ', 0, /not JSON/],
    ['not an object', '[]', 0, /not an object/],
    ['not UTF-8 text', '\ufeff{}', 0, /not JSON/],
    ['an entry that is a number', { a: 1 }, 0, /"a" is not described/],
    ['no dtype', { a: { shape: [1], data_offsets: [0, 4] } }, 4, /"a" has dtype missing/],
    ['an unknown dtype', { a: { ...a, dtype: 'Q7' } }, 12, /dtype "Q7"/],
    ['a dtype of every object', { a: { ...a, dtype: 'toString' } }, 12, /dtype "toString"/],
    ['a negative dimension', { a: { ...a, shape: [-2, -3] } }, 12, /shape \[-2,-3\]/],
    ['a dimension that is text', { a: { ...a, shape: ['6'] } }, 12, /shape \["6"\]/],
    ['a fraction', { a: { ...a, shape: [1.5, 4] } }, 12, /shape \[1\.5,4\]/],
    ['three offsets', { a: { ...a, data_offsets: [0, 12, 12] } }, 12, /data_offsets \[0,12,12\]/],
    ['a negative offset', { a: { ...a, data_offsets: [-12, 0] } }, 12, /data_offsets \[-12,0\]/],
    [
      'an end before the start',
      { a: { ...a, data_offsets: [12, 0] } },
      12,
      /starts at byte 12 and ends before it, at 0/,
    ],
    ['an end beyond the file', { a }, 11, /ends at byte 12 of the data, which has 11/],
    ['an end above 2^53', { a: { ...a, data_offsets: [0, 2 ** 60] } }, 12, /data_offsets/],
    [
      'a shape of other bytes',
      { a: { ...a, shape: [2, 4] } },
      12,
      /shape \[2, 4\]\) needs 16 bytes, its data_offsets hold 12/,
    ],
    [
      'a product beyond 2^64',
      { a: { ...a, shape: [2 ** 40, 2 ** 40] } },
      12,
      /needs .* bytes, its data_offsets hold 12/,
    ],
    [
      'overlapping tensors',
      { a, b: { ...b, data_offsets: [8, 16] } },
      16,
      /"b" overlaps "a": it starts at byte \d+, "a" ends at/,
    ],
    ['two tensors on one range', { a, b: { ...a } }, 12, /overlaps/],
    ['a hole', { a, b: { ...b, data_offsets: [16, 24] } }, 24, /"b" leaves a hole after "a"/],
    ['a hole at the start', { b }, 20, /leaves a hole after the header/],
    ['bytes after the last tensor', { a }, 13, /end at byte \d+, the file at \d+/],
    ['metadata that is no text map', { __metadata__: { a: 1 } }, 0, /__metadata__/],
    ['an empty name', { '': a }, 12, /not allowed/],
    ['a very long name', { ['x'.repeat(300)]: a }, 12, /not allowed/],
    ['a name of every object', { constructor: a }, 12, /"constructor" has a name that is not allowed/],
    ['a prototype', `{"__proto__":${JSON.stringify(a)}}`, 12, /"__proto__" has a name/],
    ['a name twice', `{"a":${JSON.stringify(a)},"a":${JSON.stringify(a)}}`, 12, /key "a" twice/],
    [
      'a name twice, once escaped',
      `{"a":${JSON.stringify(a)},"\\u0061":${JSON.stringify(a)}}`,
      12,
      /key "a" twice/,
    ],
    [
      'a field twice',
      '{"a":{"dtype":"F16","dtype":"F32","shape":[6],"data_offsets":[0,12]}}',
      12,
      /key "dtype" twice/,
    ],
  ])('is refused: %s', (_, header, dataBytes, message) => {
    expect(() => parse(safetensorsFile(header, data(dataBytes)))).toThrow(refusal(message));
  });

  it('is refused with two numbers when cut anywhere', () => {
    const file = safetensorsFile({ a, b }, data(20));
    for (let length = 0; length < file.length; length++) {
      expect(() => parse(file.slice(0, length)), `cut at ${length}`).toThrow(refusal(/\d/));
    }
  });
});

describe('the index', () => {
  it('maps tensors to files', () => {
    const index = { metadata: { total_size: 3 }, weight_map: { a: 'model-00001-of-00002.safetensors' } };
    expect([...parseSafetensorsIndex(index)]).toEqual([['a', 'model-00001-of-00002.safetensors']]);
  });

  it.each([
    ['no weight_map', {}],
    ['a number', { weight_map: { a: 1 } }],
    ['a path upwards', { weight_map: { a: '../secret.safetensors' } }],
    ['an absolute path', { weight_map: { a: '/etc/passwd' } }],
    ['a URL', { weight_map: { a: 'https://x/y.safetensors' } }],
    ['a hidden file', { weight_map: { a: '.safetensors' } }],
    ['another kind of file', { weight_map: { a: 'model.bin' } }],
  ])('is refused: %s', (_, index) => {
    expect(() => parseSafetensorsIndex(index)).toThrow(
      expect.objectContaining({ code: 'SAFETENSORS_INVALID' }),
    );
  });
});
