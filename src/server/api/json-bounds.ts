import { ShoalError } from '../../config/errors.ts';
import {
  MAX_JSON_CONTAINERS,
  MAX_JSON_DEPTH,
  MAX_JSON_NAMES,
  MAX_JSON_TEXTS,
  MAX_JSON_VALUES,
} from '../../config/limits.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Looks at JSON before it is parsed, and refuses what would hold up the server: a megabyte of `{},{},…` takes `JSON.parse`
 * forty times as long as a megabyte of text, names and texts that are all different as long, and whoever walks through the
 * result as long again. What is nested too deep is
 * refused too: zod, chat templates and `JSON.stringify` end in "Maximum call stack size exceeded", which would look like a failure
 * of the node that the request was for.
 *
 * Bytes in, as they come; in UTF-8 none of JSON's own is part of another character. What is no JSON is left to the parser.
 */
export class JsonBounds {
  #depth = 0;
  #containers = 0;
  #names = 0;
  #texts = 0;
  #values = 1;
  readonly #maxValues: number;
  #isText = false;
  #isEscaped = false;

  constructor(maxValues: number = MAX_JSON_VALUES) {
    this.#maxValues = maxValues;
  }

  /** @throws INVALID_REQUEST beyond MAX_JSON_DEPTH, MAX_JSON_CONTAINERS, MAX_JSON_NAMES, MAX_JSON_TEXTS, `maxValues` */
  push(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i];
      if (this.#isText) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) this.#isText = false;
        else i = skipText(bytes, i);
      } else if (byte === QUOTE) {
        this.#isText = true;
        this.#texts++;
      } else if (byte === COMMA) this.#count();
      else if (byte === COLON) this.#names++;
      else if (byte === OPEN_LIST || byte === OPEN_OBJECT) this.#open();
      else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) this.#depth--;
    }
    if (this.#names > MAX_JSON_NAMES) throw tooMany(`more than ${MAX_JSON_NAMES} names`);
    if (this.#texts > MAX_JSON_TEXTS) throw tooMany(`more than ${MAX_JSON_TEXTS} texts and names`);
  }

  #count(): void {
    if (++this.#values > this.#maxValues) throw tooMany(`more than ${this.#maxValues} values`);
  }

  #open(): void {
    this.#count();
    if (++this.#containers > MAX_JSON_CONTAINERS) {
      throw tooMany(`more than ${MAX_JSON_CONTAINERS} lists and objects`);
    }
    if (++this.#depth > MAX_JSON_DEPTH) {
      throw new ShoalError(
        'INVALID_REQUEST',
        `the request body has values nested more than ${MAX_JSON_DEPTH} deep; send fewer levels`,
      );
    }
  }
}

/** @returns the last byte of ordinary text from `from` */
function skipText(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== QUOTE && bytes[at] !== BACKSLASH) at++;
  return at - 1;
}

function tooMany(what: string): ShoalError {
  return new ShoalError('INVALID_REQUEST', `the request body holds ${what}; send fewer`);
}
