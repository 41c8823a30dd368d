/** A YAML file as plain values of a known shape, with the place of each, so that every fault is told as `file:line:column`. */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type Scalar } from 'yaml';
import { substituteVariables } from './environment.ts';
import { ShoalError } from './errors.ts';
import type { FieldNote } from './field-note.ts';
import { MAX_CONFIG_BYTES, MAX_CONFIG_VALUES } from './limits.ts';
import { didYouMean } from './nearest.ts';
import { YamlAliases, type YamlMap } from './yaml-aliases.ts';
import { yamlReason } from './yaml-reason.ts';

/**
 * What a file may hold. Keys are given in snake_case; the file may write them in camelCase too. A `text` is taken as it is
 * written, be it `0123`, `1e3` or `true`; a `scalar` as YAML types it.
 */
export type Shape = 'text' | 'scalar' | ListShape | MapShape;

export interface ListShape {
  readonly list: Shape;
  /** Shown to who wrote something else. */
  readonly example: string;
}

export interface MapShape {
  readonly map: Readonly<Record<string, Shape>>;
  readonly example: string;
}

/** The shape of a map in which each of these fields is a text. */
export const allTexts = (fields: object): Record<string, Shape> =>
  Object.fromEntries(Object.keys(fields).map((key) => [key, 'text']));

interface Place {
  readonly offset: number;
  /** The path as the file spells it: `nodes[0].apiKey`. */
  readonly label: string;
}

const camel = (key: string) => key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

export class YamlReading {
  /** Plain objects, lists, texts and scalars; keys in snake_case; `null` where a key has no value, `~` or `null`. */
  readonly value: unknown;
  readonly #file: string;
  readonly #env: NodeJS.ProcessEnv | undefined;
  readonly #lines = new LineCounter();
  readonly #places = new Map<string, Place>();
  #aliases: YamlAliases | undefined;
  /** Lines that are not YAML, told as that and nothing else. */
  readonly #brokenLines = new Set<number>();
  readonly #faults: { readonly offset: number; readonly text: string }[] = [];

  /**
   * @param file the name shown in errors
   * @param env where `${NAME}` in a text is looked up; without it such text stands for itself
   */
  constructor(source: string, file: string, shape: MapShape, env?: NodeJS.ProcessEnv) {
    this.#file = file;
    this.#env = env;
    const bytes = new TextEncoder().encode(source).length;
    if (bytes > MAX_CONFIG_BYTES) {
      this.#add(0, '', `${bytes} bytes, and at most ${MAX_CONFIG_BYTES} are read; is this the right file?`);
      return;
    }
    // prettyErrors quote the source line, and that line may hold a key.
    const document = parseDocument(source, {
      lineCounter: this.#lines,
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'error',
    });
    for (const { pos, code } of [...document.errors, ...document.warnings]) {
      const { line } = this.#lines.linePos(pos[0]);
      // One slip makes the parser stumble on the rest of the line.
      if (this.#brokenLines.has(line)) continue;
      this.#add(pos[0], '', yamlReason(code));
      this.#brokenLines.add(line);
    }
    this.#aliases = new YamlAliases(document, MAX_CONFIG_VALUES, () => {
      throw new ShoalError(
        'CONFIG_INVALID',
        `${file}: holds more than ${MAX_CONFIG_VALUES} values, those behind aliases counted each time; write less of it with aliases`,
      );
    });
    const root = document.contents;
    const isEmpty = root === null || (isScalar(root) && root.value === null);
    this.value = isEmpty ? {} : this.#read(root, shape, '', { offset: root.range?.[0] ?? 0, label: '' });
  }

  /** Adds faults that were found in the values. */
  add(faults: readonly FieldNote[]): void {
    for (const { path, message, at } of faults) {
      const place = this.#placeOf(at ?? path);
      const label = this.#places.get(path)?.label ?? path.replaceAll(/\.(\d+)/g, '[$1]');
      this.#add(place?.offset ?? 0, label, message);
    }
  }

  /** One `file:line:column: key: message` line each. */
  lines(notes: readonly FieldNote[]): string[] {
    return notes.map(({ path, message, at }) => {
      const label = this.#places.get(path)?.label ?? path;
      return `${this.#where(this.#placeOf(at ?? path)?.offset ?? 0)}: ${label}: ${message}`;
    });
  }

  /** @throws CONFIG_INVALID with one line per fault, all of them, in the order of the file */
  throwIfAny(): void {
    if (this.#faults.length === 0) return;
    const inOrder = this.#faults.toSorted((a, b) => a.offset - b.offset).map(({ text }) => text);
    throw new ShoalError('CONFIG_INVALID', inOrder.join('\n'));
  }

  #read(given: Node, shape: Shape, path: string, place: Place): unknown {
    this.#places.set(path, place);
    const node = this.#aliases!.follow(given);
    if (typeof node === 'string') return this.#add(place.offset, place.label, node);
    if (isScalar(node) && node.value === null) return this.#nothing(node, place);
    if (shape === 'text' || shape === 'scalar') return this.#scalar(node, shape, place);
    if ('map' in shape) {
      if (isMap(node)) return this.#map(node as YamlMap, shape, path, place);
    } else if (isSeq(node)) {
      return node.items.map((item, index) =>
        this.#read(item as Node, shape.list, `${path}.${index}`, {
          offset: (item as Node).range?.[0] ?? place.offset,
          label: `${place.label}[${index}]`,
        }),
      );
    }
    this.#add(place.offset, place.label, `must be ${shape.example}`);
    return undefined;
  }

  /** `api_key: &x` has an anchor and no value; whoever writes it may mean a key that begins with &. */
  #nothing({ anchor, source }: Scalar, { offset, label }: Place): null {
    if (anchor !== undefined && !source)
      this.#add(offset, label, 'has an anchor and no value; a text that begins with & must be in quotes');
    return null;
  }

  #scalar(node: Node, shape: 'text' | 'scalar', { offset, label }: Place): unknown {
    if (isMap(node)) return {};
    if (!isScalar(node)) return [];
    const isWritten = shape === 'text' && typeof node.value !== 'string';
    const given = isWritten ? node.source : node.value;
    if (typeof given !== 'string' || this.#env === undefined) return given;
    const { value, problems } = substituteVariables(given, this.#env);
    for (const problem of problems) this.#add(offset, label, problem);
    return problems.length === 0 ? value : undefined;
  }

  #map(node: YamlMap, shape: MapShape, path: string, outer: Place): object {
    const keys = Object.keys(shape.map);
    const spellings = new Map(keys.flatMap((key) => [[key, key] as const, [camel(key), key] as const]));
    const seen = new Map<string, { readonly name: string; readonly offset: number }>();
    const values: Record<string, unknown> = {};
    const pairs = this.#aliases!.pairs(node, (at, message) =>
      this.#add(at.range?.[0] ?? outer.offset, outer.label === '' ? '<<' : `${outer.label}.<<`, message),
    );
    for (const { key: keyNode, value } of pairs) {
      const offset = keyNode.range?.[0] ?? outer.offset;
      const keyScalar = this.#aliases!.follow(keyNode);
      const name = isScalar(keyScalar) ? String(keyScalar.value) : '';
      const label = outer.label === '' ? name : `${outer.label}.${name}`;
      const key = spellings.get(name);
      if (key === undefined) {
        const hint = didYouMean(name, spellings.keys()) || `; known are ${keys.join(', ')}`;
        this.#add(offset, label, `unknown key${hint}`);
        continue;
      }
      const earlier = seen.get(key);
      if (earlier !== undefined) {
        const as = earlier.name === name ? '' : ` as ${earlier.name}`;
        const line = this.#lines.linePos(earlier.offset).line;
        this.#add(offset, label, `given already${as} on line ${line}; keep one`);
        continue;
      }
      seen.set(key, { name, offset });
      const inner = path === '' ? key : `${path}.${key}`;
      const place = { offset: value?.range?.[0] ?? offset, label };
      this.#places.set(inner, place);
      values[key] = value === null ? null : this.#read(value, shape.map[key]!, inner, place);
    }
    return values;
  }

  #placeOf(path: string): Place | undefined {
    for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf('.')))) {
      const place = this.#places.get(at);
      if (place !== undefined || at === '') return place;
    }
  }

  #where(offset: number): string {
    const { line, col } = this.#lines.linePos(offset);
    return `${this.#file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
  }

  /** @param label empty when the fault lies outside any key */
  #add(offset: number, label: string, reason: string): void {
    if (this.#brokenLines.has(this.#lines.linePos(offset).line)) return;
    const key = label === '' ? '' : `${label.slice(0, 96)}: `;
    this.#faults.push({ offset, text: `${this.#where(offset)}: ${key}${reason}` });
  }
}
