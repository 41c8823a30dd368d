import { TemplateError } from './errors.ts';
import type { Arguments, Keywords, Value } from './value.ts';

/**
 * A Python signature, written "a, b=, *, c=": `=` marks what may be left out, names behind `*` are only given by name,
 * names before `/` only by place.
 */
export class Parameters {
  private readonly places: string[] = [];
  private readonly byPlaceOnly = new Set<string>();
  private readonly names: string[] = [];
  private readonly optional = new Set<string>();

  constructor(signature: string) {
    let named = false;
    for (const part of signature.split(',').map((text) => text.trim())) {
      if (part === '') continue;
      if (part === '*') named = true;
      else if (part === '/') for (const name of this.places) this.byPlaceOnly.add(name);
      else {
        const name = part.replace(/=$/, '');
        if (part.endsWith('=')) this.optional.add(name);
        this.names.push(name);
        if (!named) this.places.push(name);
      }
    }
  }

  /** One value a name, in order; undefined for what is left out. @throws TemplateError when they do not fit */
  bind(what: string, args: Arguments, keywords: Keywords): (Value | undefined)[] {
    if (args.length > this.places.length) {
      throw new TemplateError(`${what}() takes ${this.places.length} arguments, ${args.length} were given`);
    }
    for (const name of keywords.keys()) {
      if (!this.names.includes(name) || this.byPlaceOnly.has(name)) {
        throw new TemplateError(`${what}() has no argument named '${name}'`);
      }
      if (this.places.indexOf(name) !== -1 && this.places.indexOf(name) < args.length) {
        throw new TemplateError(`${what}() got '${name}' twice`);
      }
    }
    return this.names.map((name) => {
      const place = this.places.indexOf(name);
      const value = place !== -1 && place < args.length ? args[place] : keywords.get(name);
      if (value === undefined && !this.optional.has(name)) {
        throw new TemplateError(`${what}() needs '${name}'`);
      }
      return value;
    });
  }
}
