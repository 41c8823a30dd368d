/** What YAML lets stand for something else: an alias (`*name`) for its anchor (`&name`), and `<<` for the pairs of other maps. */
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap } from 'yaml';

type Entry = Pair<Node, Node | null>;
export type YamlMap = YAMLMap<Node, Node | null>;

export class YamlAliases {
  readonly #document: Document;
  readonly #onTooMuch: () => never;
  #left: number;

  /** @param most values read, those behind aliases each time: nine lines can stand for a thousand million (a "YAML bomb") */
  constructor(document: Document, most: number, onTooMuch: () => never) {
    this.#document = document;
    this.#left = most;
    this.#onTooMuch = onTooMuch;
  }

  /** The node itself, or the one that it is an alias of. @returns a sentence about an alias that stands for nothing */
  follow(node: Node): Node | string {
    this.#count();
    if (!isAlias(node)) return node;
    return (
      node.resolve(this.#document) ??
      'an alias such as *name needs its anchor, &name, above it; a text that begins with * must be in quotes'
    );
  }

  /**
   * The pairs of a map, own ones first, then those that `<<` brings and that the map does not have itself
   * (https://yaml.org/type/merge.html).
   *
   * @param onFault told with the node that is no map
   */
  pairs(map: YamlMap, onFault: (node: Node, message: string) => void): Entry[] {
    const pairs = map.items.filter((pair) => !isMerge(pair));
    const names = new Set(pairs.map(nameOf));
    const merge = (source: Node | null, depth: number): void => {
      const node = source === null ? null : this.follow(source);
      if (isSeq<Node>(node) && depth === 0) for (const item of node.items) merge(item, 1);
      else if (isMap(node) && depth < MAX_MERGES) {
        const { items } = node as YamlMap;
        for (const pair of items) {
          this.#count();
          const name = nameOf(pair);
          if (isMerge(pair) || names.has(name)) continue;
          names.add(name);
          pairs.push(pair);
        }
        for (const pair of items) if (isMerge(pair)) merge(pair.value, depth + 1);
      } else onFault(source ?? map, typeof node === 'string' ? node : NO_MAP);
    };
    for (const pair of map.items) if (isMerge(pair)) merge(pair.value, 0);
    return pairs;
  }

  #count(): void {
    if (this.#left-- <= 0) this.#onTooMuch();
  }
}

const NO_MAP = '<< takes a map, an alias of one, or a list of these';
/** Maps that merge maps that merge maps. */
const MAX_MERGES = 8;

const nameOf = ({ key }: Entry) => (isScalar(key) ? String(key.value) : key);
const isMerge = ({ key }: Entry) => isScalar(key) && key.value === '<<' && key.type === 'PLAIN';
