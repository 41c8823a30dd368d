import { equal } from './compare.ts';
import { TemplateError } from './errors.ts';
import { each } from './iterate.ts';
import {
  type Arguments,
  Callable,
  type Keywords,
  lengthOf,
  orElse,
  Special,
  Tuple,
  Undefined,
  type Value,
} from './value.ts';

/** The `loop` variable, which also walks: it looks ahead only when asked to. */
export class Loop extends Special {
  readonly type = 'LoopContext';
  private readonly source: Iterator<Value>;
  private readonly depth: number;
  private readonly recurse: ((source: Value, depth: number) => Value) | undefined;
  private known: number | undefined;
  private index = -1;
  private ahead: Value[] = [];
  private previous: Value | undefined;
  private item: Value | undefined;
  private seen: Value | undefined;

  constructor(source: Value, depth: number, recurse?: (source: Value, depth: number) => Value) {
    super();
    this.source = each(source)[Symbol.iterator]();
    this.known = source instanceof Undefined ? 0 : lengthOf(source);
    this.depth = depth;
    this.recurse = recurse;
  }

  /** The next item, undefined at the end. */
  step(): Value | undefined {
    const next = this.peek();
    this.ahead.shift();
    if (next === undefined) return undefined;
    this.index++;
    this.previous = this.item;
    this.item = next;
    return next;
  }

  private peek(): Value | undefined {
    if (this.ahead.length === 0) {
      const { done, value } = this.source.next();
      if (done) return undefined;
      this.ahead.push(value);
    }
    return this.ahead[0];
  }

  override length(): number {
    if (this.known === undefined) {
      for (let result = this.source.next(); !result.done; result = this.source.next())
        this.ahead.push(result.value);
      this.known = this.ahead.length + this.index + 1;
    }
    return this.known;
  }

  text(): string {
    return `<LoopContext ${this.index + 1}/${this.length()}>`;
  }

  attribute(name: string): Value | undefined {
    switch (name) {
      case 'index':
        return BigInt(this.index + 1);
      case 'index0':
        return BigInt(this.index);
      case 'revindex':
        return BigInt(this.length() - this.index);
      case 'revindex0':
        return BigInt(this.length() - this.index - 1);
      case 'first':
        return this.index === 0;
      case 'last':
        return this.peek() === undefined;
      case 'length':
        return BigInt(this.length());
      case 'depth':
        return BigInt(this.depth + 1);
      case 'depth0':
        return BigInt(this.depth);
      case 'previtem':
        return orElse(this.previous, new Undefined('there is no previous item'));
      case 'nextitem':
        return orElse(this.peek(), new Undefined('there is no next item'));
      case 'cycle':
        return new Callable('cycle', (args, keywords) => this.cycle(args, keywords));
      case 'changed':
        return new Callable('changed', (args, keywords) => this.changed(args, keywords));
      default:
        return undefined;
    }
  }

  call(args: Arguments, keywords: Keywords): Value {
    const [source] = args;
    if (this.recurse === undefined) {
      throw new TemplateError("The loop must have the 'recursive' marker to be called recursively.");
    }
    if (args.length !== 1 || source === undefined || keywords.size > 0)
      throw new TemplateError('loop() takes one argument');
    return this.recurse(source, this.depth + 1);
  }

  private cycle(args: Arguments, keywords: Keywords): Value {
    if (args.length === 0 || keywords.size > 0) throw new TemplateError('no items for cycling given');
    return args[this.index % args.length]!;
  }

  private changed(args: Arguments, keywords: Keywords): Value {
    if (keywords.size > 0) throw new TemplateError('changed() takes no keyword arguments');
    const now = new Tuple(args);
    if (this.seen !== undefined && equal(this.seen, now)) return false;
    this.seen = now;
    return true;
  }
}
