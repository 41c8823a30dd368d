import { describe, expect, it } from 'vitest';
import { exactJson, parseExactly, unmarked } from '../../src/config/exact-json.ts';
import { membersOf, memberText, withMembers } from '../../src/config/json-text.ts';

describe('members', () => {
  it.each([
    ['{}', []],
    [' { } ', []],
    ['{"a":1}', ['a', '1']],
    ['{ "a" : [1,{"b":"}"}] , "c":"\\"" }', ['a', '[1,{"b":"}"}]', 'c', '"\\""']],
    ['{"a":-1.5e+3,"b":true,"c":null}', ['a', '-1.5e+3', 'b', 'true', 'c', 'null']],
    ['{"\\u0061":"x\\\\","a":{}}', ['a', '"x\\\\"', 'a', '{}']],
  ])('of %s', (json, expected) => {
    expect(membersOf(json).flatMap(({ key, start, end }) => [key, json.slice(start, end)])).toEqual(expected);
  });

  it('are found by name, the last of two as JSON.parse has it', () => {
    expect(memberText('{"a":1,"a":2}', 'a')).toBe('2');
    expect(memberText('{"b":{"a":1}}', 'a')).toBeUndefined();
  });

  it('are replaced, or added at the end', () => {
    expect(withMembers('{ "a": 1, "a":[2] }', { a: '3' })).toBe('{ "a": 3, "a":3 }');
    expect(withMembers('{"a":1}', { b: '2', c: '"}"' })).toBe('{"a":1,"b":2,"c":"}"}');
    expect(withMembers(' {} ', { b: '2' })).toBe(' {"b":2} ');
  });
});

describe('exact JSON', () => {
  it.each([
    '{"a":9007199254740993}',
    '[12345678901234567890,-9007199254740993]',
    '{"a":[{"b":1e400}],"c":-1e999}',
    '{"a":"9007199254740993","b":"x\\"9007199254740993","c":9007199254740993}',
    `{"a":1${'0'.repeat(400)}}`,
  ])('keeps the digits of %s', (json) => {
    const value = parseExactly(json);
    expect(exactJson(value)).toBe(json);
    expect(unmarked(value as object)).toEqual({ value: JSON.parse(json), text: json });
  });

  it('writes nothing but numbers without quotes, whoever learned the mark', () => {
    const mark = (parseExactly('[12345678901234567890]') as string[])[0]!.replace(/\d{20}$/, '');
    const json = JSON.parse(exactJson([`${mark}1,{}`, `${mark}null`, `${mark}7`]));
    expect(json).toEqual([`${mark}1,{}`, `${mark}null`, 7]);
  });

  it('is JSON.parse to all other numbers and to every text', () => {
    const json =
      '{"a":[1,1.0,2e3,0.1,-0.5,9007199254740991,18014398509481984],"b":"1234567890123456789","c":null}';
    expect(parseExactly(json)).toEqual(JSON.parse(json));
    for (const bad of ['{', '[01234567890123456789]', '12345678901234567890x', '-', '1.e400'])
      expect(() => parseExactly(bad)).toThrow(SyntaxError);
  });
});
