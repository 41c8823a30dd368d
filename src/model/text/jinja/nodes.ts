import type { Operator } from './arithmetic.ts';
import type { Value } from './value.ts';

export interface Call {
  readonly args: readonly Expression[];
  readonly keywords: readonly (readonly [name: string, value: Expression])[];
  /** `*` */
  readonly spread: Expression | undefined;
  /** `**` */
  readonly spreadKeywords: Expression | undefined;
}

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in';

export type Expression =
  | { readonly type: 'const'; readonly value: Value }
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'tuple' | 'list'; readonly items: readonly Expression[] }
  | { readonly type: 'dict'; readonly entries: readonly (readonly [Expression, Expression])[] }
  | { readonly type: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
  | { readonly type: 'not'; readonly operand: Expression }
  | { readonly type: 'unary'; readonly operator: '-' | '+'; readonly operand: Expression }
  | {
      readonly type: 'binary';
      readonly operator: Operator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly type: 'concat'; readonly parts: readonly Expression[] }
  | {
      readonly type: 'compare';
      readonly first: Expression;
      readonly rest: readonly (readonly [Comparison, Expression])[];
    }
  | {
      readonly type: 'if';
      readonly test: Expression;
      readonly then: Expression;
      readonly otherwise: Expression | undefined;
    }
  | { readonly type: 'attribute'; readonly object: Expression; readonly name: string }
  | { readonly type: 'item'; readonly object: Expression; readonly key: Expression }
  | {
      readonly type: 'slice';
      readonly object: Expression;
      readonly bounds: readonly (Expression | undefined)[];
    }
  | { readonly type: 'call'; readonly callee: Expression; readonly call: Call }
  /** Without a value: the body of a block that is filtered. */
  | {
      readonly type: 'filter';
      readonly value: Expression | undefined;
      readonly name: string;
      readonly call: Call;
    }
  | { readonly type: 'test'; readonly value: Expression; readonly name: string; readonly call: Call };

/** What can be assigned to: a name, an attribute of a namespace, or several. */
export type Target =
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'member'; readonly name: string; readonly attribute: string }
  | { readonly type: 'targets'; readonly items: readonly Target[] };

export interface Signature {
  readonly names: readonly string[];
  /** Of the last names. */
  readonly defaults: readonly Expression[];
}

export type Body = readonly Statement[];

export type Statement =
  | { readonly type: 'data'; readonly text: string }
  | { readonly type: 'output'; readonly value: Expression }
  | {
      readonly type: 'for';
      readonly target: Target;
      readonly source: Expression;
      readonly test: Expression | undefined;
      readonly recursive: boolean;
      readonly body: Body;
      readonly otherwise: Body;
    }
  | {
      readonly type: 'if';
      readonly branches: readonly (readonly [test: Expression, body: Body])[];
      readonly otherwise: Body;
    }
  | { readonly type: 'set'; readonly target: Target; readonly value: Expression }
  | {
      readonly type: 'set block';
      readonly target: Target;
      readonly filter: Expression | undefined;
      readonly body: Body;
    }
  | {
      readonly type: 'with';
      readonly targets: readonly (readonly [Target, Expression])[];
      readonly body: Body;
    }
  | { readonly type: 'macro'; readonly name: string; readonly signature: Signature; readonly body: Body }
  | {
      readonly type: 'call';
      readonly signature: Signature;
      readonly call: Expression & { type: 'call' };
      readonly body: Body;
    }
  | { readonly type: 'filter'; readonly filter: Expression; readonly body: Body }
  | { readonly type: 'generation'; readonly body: Body }
  | {
      readonly type: 'block';
      readonly name: string;
      readonly scoped: boolean;
      readonly required: boolean;
      readonly body: Body;
    }
  | { readonly type: 'break' | 'continue' }
  /** What needs other templates: there are none, and jinja2 says so when it comes to it. */
  | { readonly type: 'loader'; readonly tag: string };
