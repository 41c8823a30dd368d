import { MAX_TEMPLATE_DEPTH } from '../../../config/limits.ts';
import { TemplateError } from './errors.ts';
import { type Token, tokenize } from './lexer.ts';

/** The tokens of a template, one ahead. `is` and its kin take `name:for` for the name `for`, and an operator as it is written. */
export class TokenStream {
  private readonly tokens: readonly Token[];
  private at = 0;
  private depth = 0;

  constructor(template: string) {
    this.tokens = tokenize(template);
  }
  get current(): Token {
    return this.tokens[this.at]!;
  }
  is(...wanted: readonly string[]): boolean {
    return wanted.some((one) => matches(this.current, one));
  }
  nextIs(wanted: string): boolean {
    return matches(this.tokens[Math.min(this.at + 1, this.tokens.length - 1)]!, wanted);
  }
  next(): Token {
    const token = this.current;
    if (token.kind !== 'eof') this.at++;
    return token;
  }
  skip(wanted: string): boolean {
    if (!this.is(wanted)) return false;
    this.next();
    return true;
  }
  expect(wanted: string): Token {
    if (!this.is(wanted)) this.fail(`expected '${wanted.replace(/^name:/, '')}', got ${this.describe()}`);
    return this.next();
  }
  describe(): string {
    const { kind, text } = this.current;
    if (kind === 'eof') return 'the end of the template';
    return text === '' ? kind.replace('_', ' ') : `'${text.slice(0, 40)}'`;
  }
  fail(message: string): never {
    throw new TemplateError(`line ${this.current.line}: ${message}`);
  }
  /** One level down in brackets or tags. */
  nested<T>(read: () => T): T {
    if (++this.depth > MAX_TEMPLATE_DEPTH) this.fail(`nested deeper than ${MAX_TEMPLATE_DEPTH} levels`);
    const result = read();
    this.depth--;
    return result;
  }
}

function matches({ kind, text }: Token, wanted: string): boolean {
  if (kind === 'operator') return text === wanted;
  return kind === wanted || (kind === 'name' && wanted === `name:${text}`);
}
