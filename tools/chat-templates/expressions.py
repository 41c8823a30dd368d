"""One expression a template: operators, filters, tests, methods, subscripts and formats, with right and wrong arguments."""

NAMES = ["i", "z", "n", "f", "tiny", "huge", "third", "yes", "no", "nil", "s", "t", "u", "e", "csv", "num", "dec", "html", "lines", "spec",
         "l", "words", "mixed", "none", "d", "empty", "people", "nested", "matrix", "pairs", "nope"]
LITERALS = ["0", "1", "-1", "2", "3", "10", "0x1F", "1_000", "2.5", "0.1", "-0.5", "1e3", "1.0", "2**70", "1e16", "123456789.125", "true", "False",
            "none", "None", "''", "' '", "'a'", "'abc'", "'b'", "'ab\\n'", "\"it's\"", "'%s'", "'{}'", "'\\u00e9\\t'", "'ÀB c-d_e'", "'a b'", "','", "[]",
            "[1]", "['b', 'A', 'c']", "[1, 'a', none]", "[[1, 2], [3]]", "()", "(1,)", "(1, 'b')", "{}", "{'a': 1}", "{1: 'x', 'y': {'z': 2}}",
            "{'b': 2, 'a': none}", "range(3)", "range(5, 0, -2)", "nope", "s", "u", "l", "d", "words", "people", "mixed"]
VALUES = NAMES + LITERALS
SMALL = ["0", "1", "-1", "2", "3", "5", "none", "true", "'a'", "' '", "','", "'l'", "''", "'\\n'", "2.5", "[1]", "nope", "'name'", "'age'"]
BINARY = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or", "**"]
FILTERS = ["abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape", "filesizeformat", "first", "float",
           "forceescape", "format", "groupby", "indent", "int", "join", "last", "length", "list", "lower", "items", "map", "min", "max", "pprint",
           "reject", "rejectattr", "replace", "reverse", "round", "safe", "select", "selectattr", "slice", "sort", "string", "striptags", "sum",
           "title", "trim", "truncate", "unique", "upper", "urlencode", "wordcount", "wordwrap", "xmlattr", "tojson"]
TESTS = ["odd", "even", "divisibleby", "defined", "undefined", "filter", "test", "none", "boolean", "false", "true", "integer", "float", "lower",
         "upper", "string", "mapping", "number", "sequence", "iterable", "callable", "sameas", "escaped", "in", "==", "eq", "equalto", "!=", "ne",
         ">", "gt", "greaterthan", "ge", ">=", "<", "lt", "lessthan", "<=", "le"]
TEXT_METHODS = ["capitalize", "casefold", "center", "count", "endswith", "expandtabs", "find", "format", "index", "isalnum", "isalpha", "isascii",
                "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace", "istitle", "isupper", "join", "ljust",
                "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit",
                "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper", "zfill", "nothing", "__class__", "__len__",
                "_x", "encode", "constructor", "length", "toString", "trim"]
LIST_METHODS = ["append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort", "length", "push", "__add__"]
DICT_METHODS = ["get", "items", "keys", "values", "copy", "pop", "update", "setdefault", "clear", "fromkeys", "__class__", "constructor", "__proto__",
                "hasOwnProperty", "_p", "a", "b"]
TEXTS = ["s", "t", "u", "e", "csv", "num", "dec", "html", "lines", "spec", "'abcabc'", "'  x '", "'xxhixx'", "'a,b,c'", "'Hello World'", "'ß'",
         "'\\n\\nhi\\n'", "'...'", "'{} and {1}'", "'-42'", "'A-b c'"]
TEXT_ARGUMENTS = ["", "", "'a'", "' '", "'\\n'", "','", "'l'", "'x'", "'abc'", "''", "none", "3", "10", "'a', 1", "',', 1", "' ', -1", "'a', 'b'",
                  "'l', 'L', 1", "'l', '', -1", "20, '*'", "none, 1", "'ab', 1, 3", "('a', 'H')", "[1, 'b']", "['x', 'y']", "True", "keepends=True",
                  "sep=','", "maxsplit=1", "nope", "'xh', 2", "1, 2", "words", "-1", "'日'", "*['l', 'L']", "**{'sep': ','}"]
INDICES = ["0", "1", "-1", "2", "7", "-9", "'b'", "'items'", "'name'", "none", "1.0", "true", "'0'", "nope", ":", "1:", ":2", ":-1", "-2:", "::2",
           "::-1", "1:10", "5:1:-1", "-1:-3:-1", "::0", "none:2", "'a':", "0:0", "99:", "1.5:", "0, 1", "'x'", "'_p'", "'__class__'"]
PERCENT = ["%s", "%d", "%i", "%5d|", "%-5d|", "%05d", "%+d", "% d", "%x", "%X", "%#x", "%o", "%e", "%.2f", "%8.3f|", "%g", "%G", "%.3g", "%r", "%a", "%c",
           "%%", "%5s|", "%-5s|", "%.2s", "%(a)s", "%(a)d and %(b)s", "%s %s", "%s %d", "%*d", "%q", "%", "a%", "%5%", "%u", "%.0f", "%#o", "%E", "%ld", "plain"]
PERCENT_ARGUMENTS = ["1", "-7", "2.5", "'x'", "'日'", "none", "true", "(1, 2)", "('a', 3)", "(1,)", "()", "[1, 2]", "{'a': 1, 'b': 'c'}", "nope", "2**70",
                     "0", "65", "1e22", "tiny", "third", "-0.5", "1e100"]
FORMATS = ["{}", "{0}", "{1}{0}", "{} {}", "{a}", "{a[0]}", "{a.b}", "{0.real}", "{:5}|", "{:<5}|", "{:>5}|", "{:^5}|", "{:*^9}|", "{:05d}", "{:+d}", "{:,}",
           "{:.2f}", "{:.3}", "{:e}", "{:g}", "{:%}", "{:x}", "{:#x}", "{:b}", "{:o}", "{:c}", "{:d}", "{:s}", "{!r}", "{!s:>6}", "{{}}", "{{{}}}", "{", "}", "{:{}}",
           "{0:{1}}", "{:_}", "{:n}", "{:010.3f}", "{:<}", "{:=+6}", "{!x}", "{0} {}", "{a!r}"]
FORMAT_ARGUMENTS = ["1", "-3", "2.5", "'x'", "none", "true", "'ab', 5", "1, 2", "a=1", "a=[1, 2]", "a={'b': 3}", "", "12345.678", "1234567", "l", "tiny", "'é', '>6'", "d"]
JSON = ["", "indent=2", "indent=4", "indent=0", "indent=none", "sort_keys=true", "ensure_ascii=true", "separators=(',', ':')", "separators=[',', ':']",
        "indent='\\t'", "2", "true", "false, 2", "indent=2, separators=(' ,', ' : ')", "indent=-1", "separators=(1, 2)", "foo=1", "indent=2, sort_keys=true"]


def out(expression):
    return "{{ " + expression + " }}", "values"


def arguments(rng, names=SMALL):
    count = rng.choice([0, 0, 1, 1, 1, 2, 2, 3])
    return "".join(f", {rng.choice(names)}" for _ in range(count))[2:]


def nested(rng, depth):
    """An expression out of expressions."""
    if depth == 0:
        return rng.choice(VALUES)
    inner = lambda: nested(rng, depth - 1)  # noqa: E731
    kind = rng.randrange(12)
    if kind <= 2:
        return f"({inner()} {rng.choice(BINARY[:-1])} {inner()})"
    if kind == 3:
        return f"{inner()} if {inner()} else {inner()}"
    if kind == 4:
        return f"{inner()} | {rng.choice(FILTERS)}({arguments(rng)})"
    if kind == 5:
        return f"{inner()} | {rng.choice(['list', 'string', 'length', 'tojson', 'first', 'last', 'upper', 'trim'])}"
    if kind == 6:
        return f"({inner()} is {rng.choice(['', 'not '])}{rng.choice([t for t in TESTS if t.isalpha()])})"
    if kind == 7:
        return f"({inner()})[{rng.choice(INDICES)}]"
    if kind == 8:
        return f"({inner()}).{rng.choice(TEXT_METHODS)}({rng.choice(TEXT_ARGUMENTS)})"
    if kind == 9:
        return f"[{inner()}, {inner()}]"
    if kind == 10:
        return f"{{'k': {inner()}, 'l': {inner()}}}"
    return f"{rng.choice(['not ', '-', '+'])}{inner()}"


FIXED = """
selectattr people | selectattr('age', 'in', [25]) | map(attribute='name') | list
people | selectattr('age', '==', 30) | map(attribute='name') | join(', ')
people | selectattr('age', 'equalto', 30) | list | length
people | selectattr('at.city') | map(attribute='at.city') | list
people | rejectattr('age', 'defined') | list
people | map(attribute='age', default=0) | list
people | map(attribute='at.city', default='?') | join('/')
people | groupby('age') | list
people | selectattr('age') | groupby('at.city') | map('first') | list
people | sum(attribute='age')
people | selectattr('age') | sum(attribute='age', start=100)
people | sort(attribute='name') | map(attribute='name') | list
people | sort(attribute='name', case_sensitive=true) | map(attribute='name') | list
people | selectattr('age') | sort(attribute='age,name', reverse=true) | map(attribute='name') | list
people | selectattr('age') | max(attribute='age')
people | unique(attribute='age') | map(attribute='name') | list
words | unique | list
words | map('upper') | list
words | map('replace', 'p', 'P') | join
words | map('length') | sum
words | select('in', ['fig', 'pear']) | list
words | reject('equalto', 'fig') | list
words | sort | join(',')
words | sort(reverse=true, case_sensitive=true)
words | map('nothing') | list
words | select('nothing') | list
l | select('odd') | list
l | select | list
l | select('>', 1) | list
l | batch(2) | list
l | batch(2, 'x') | list
l | slice(2) | list
words | slice(3, '-') | list
d | dictsort
d | dictsort(true)
d | dictsort(by='value')
d | items | list
d.items
d['items']
d.items() | list
d.keys() | list
d.values() | list
d.items()
d.keys()
d.values()
d.items() | first
d | first
d | list
d | length
d.get('b')
d.get('zz')
d.get('zz', 5)
d._p
d['_p']
d.__class__
d.__class__ is defined
d.__class__()
d | attr('b')
d | attr('items')
s | attr('upper')
s.upper()
s | first
s | last
s | list
s | reverse
l | reverse | list
l | reverse
'x' | list
'' | first
[] | first
[] | first is defined
trim('x')
'xxhixx' | trim('x')
'=' * 5
5 * '='
'a' 'b' ~ 1 ~ none ~ true ~ 1.0 ~ nope
(1, 2) + (3,)
[1] + [2]
[1] + (2,)
[0] * 3
{'a': 1} == {'a': 1.0}
[1, true] == [true, 1.0]
1 == 1.0 == true
1 < 2 < 3
3 > 2 > 2
1 < 'a'
none < 1
'a' < 'b'
[1, 2] < [1, 3]
not 1 == 2
not (1) == 2
-1 ** 2
2 ** -1
2 ** 3 ** 2
7 // 2
-7 // 2
7 % -3
-7 % 3
7.5 // 2
-7.5 % 2
1 / 0
1 % 0
1.0 // 0
10 / 4
10 / 5
0.1 + 0.2
1e16
1e15
123456789012345680.0
1e-4
1e-5
0.00001234
100000.0
2 ** 100
-2 ** 63
2 ** 0.5
5 | string + 'x'
'a' + 1
none + 'a'
1 + true
true + true
nope + 1
nope.x
nope.x.y
nope['x']
nope()
nope | length
nope | list
nope | string
nope | join
nope | default('d')
nope.x | default('d')
'' | default('d')
'' | default('d', true)
none | default('d', boolean=true)
nope | upper
nope == nope
nope == none
nope is none
nope is undefined
nope in [1]
nope ~ 'x'
not nope
nope and nope.x
nope or 'x'
1 if nope
(1 if nope) is defined
nested.x.y.z[2].w
nested['x']['y'].z.2.w
nested.x.y.z.0
matrix[1][0]
matrix.1.0
pairs | items
dict(a=1, b=2)
dict(pairs)
dict([('a', 1)], b=2)
dict(d, b=9)
namespace(a=1).a
namespace(a=1)
namespace(a=1).b
namespace(_a=1)
range(3)
range(3) | list
range(1, 7, 2) | list
range(3)[1]
range(10)[2:5]
range(3) | length
range(0)
range(100001)
range(2.5)
range('a')
range()
2 in range(3)
'k' in d
'b' in d
1 in l
'ell' in s
1 in s
none in mixed
'a' not in words
lipsum is defined
cycler is defined
joiner is defined
cycler('a', 'b')
joiner(',')
caller is defined
self is defined
loop
super
true
True
1 is integer
true is integer
1.0 is float
true is number
'A' is upper
'a1' is lower
1 is lower
s is string
d is mapping
s is sequence
d is sequence
l is iterable
i is iterable
s is iterable
range is callable
s.upper is callable
4 is divisibleby 2
4 is divisibleby(3)
4 is odd
'a' is odd
1 is sameas 1
none is sameas none
true is sameas 1
'trim' is filter
'nothing' is filter
'odd' is test
i is eq 7
i is == 7
i is ge 7
i is in [7]
i is not in [7]
i is not none and i is number
s is defined and s
1 is defined is defined
42 | string | length
'3' | int + 1
'3.7' | int
'x' | int
'x' | int(5)
'0x1f' | int(0, 16)
'1f' | int(base=16)
' 12 ' | int
'1_000' | int
none | int
2.9 | int
-2.9 | int
true | int
1e22 | int
'1e3' | float
'inf' | float
'nan' | float
' 2.5 ' | float
'x' | float(1.5)
2.5 | round
3.5 | round
2.675 | round(2)
1234.567 | round(-2)
2.4 | round(0, 'ceil')
2.6 | round(0, 'floor')
2.65 | round(1, 'ceil')
7 | round
7 | round(1)
15 | round(-1)
2.5 | round | int
-3 | abs
'a' | abs
1000 | filesizeformat
1 | filesizeformat
123456789 | filesizeformat
123456789 | filesizeformat(true)
'12' | filesizeformat
html | e
html | escape
html | forceescape
html | safe
html | striptags
(html | safe) + '<'
'<' + (html | safe)
(html | safe) ~ '<'
html | e | e
html | e | length
html | e | upper
(html | e) == html
html | urlencode
'a b/c?d&é' | urlencode
d | urlencode
{'a': 1, 'b': none} | xmlattr
{'a b': 1} | xmlattr
lines | indent
lines | indent(2, true)
lines | indent(2, blank=true)
lines | indent('> ')
lines | indent(width=1, first=true)
s | truncate(5)
s | truncate(5, true)
s | truncate(9, false, '..', 0)
s | truncate(2)
'foo bar baz qux' | truncate(9, leeway=0)
'the quick brown fox jumps over' | wordwrap(10)
s | wordcount
s | center(20)
s | title
'foo-bar (baz) [q] it' | title
"it's a dog's" | title
u | title
u | upper
u | lower
u | capitalize
u | length
u | reverse
u | list
u[7:9]
u[-3]
u.split()
lines.splitlines()
lines.splitlines(true)
lines.split('\\n')
t.split()
t.strip()
csv.split(',')
csv.split(',', 1)
csv.rsplit(',', 1)
csv.split('')
csv.split(none)
s.find('l')
s.find('zz')
s.rfind('l')
s.index('zz')
u.find('😀')
s.count('l')
s.replace('l', 'L', 1)
s.replace('', '-')
s.startswith('Hell')
s.startswith(('x', 'H'))
s.endswith('d', 0, 3)
s.partition(', ')
s.rpartition('o')
s.zfill(20)
'-5'.zfill(4)
s.ljust(15, '.')
s.rjust(15)
s.center(15, '*')
'a\\tb'.expandtabs(4)
','.join(['a', 'b'])
','.join([1])
','.join(s)
','.join(d)
'%s and %s' % ('a', 1)
'%d%%' % 5
'%s' % none
'%s' % [1]
'%s' % ((1, 2),)
'%s' | format('x')
'%(a)s' | format(a=1)
'{} {x}'.format(1, x=2)
'{0:>5}'.format('a')
'{a.__class__}'.format(a=1)
'{0.upper}'.format('a')
'{:,.2f}'.format(1234567.891)
d | tojson
mixed | tojson
u | tojson
spec | tojson
html | tojson
nope | tojson
(1, 2) | tojson
{1: 2} | tojson
{none: 1, true: 2, 1.5: 3} | tojson
{(1, 2): 3} | tojson
l | map('string') | tojson
range(2) | tojson
1e22 | tojson
1.0 | tojson
tiny | tojson
('inf' | float) | tojson
2 ** 70 | tojson
html | safe | tojson
d.items() | tojson
[] | tojson(indent=2)
[[]] | tojson(indent=2)
{} | tojson(indent=2)
{'a': {}} | tojson(indent=2)
d | tojson | safe
d | string
mixed | string
[html] | string
["a'b", 'a"b', 'a\\'"b', 'a\\nb\\\\', 'é', '\\x00\\x7f\\xad\\u200b'] | string
u | pprint
d | pprint
[1.0, 1e16, 1e-5, -0.0, 2**70] | string
(1,) | string
() | string
{'a': (1,)} | string
[nope]
[nope] | string
[none, true]
{1: 1, true: 2}
{[1]: 2}
{'a': 1, 'a': 2}
[1, 2, 3][1:]
'abc'[::-1]
l[5]
l[5] is defined
l['x']
l.x
l.0
l.first
s.0
s[0]
s[99]
s['upper']()
i.real
i.foo
i[0]
1.real
f.is_integer()
i.bit_length()
true.real
none.x
none.x.y
none['x']
none()
none | length
none | list
none | join
none | trim
none | upper
5 | trim
5 | length
5 | list
5 | join
[1, none, 2.5] | join('-')
d | join(',')
l | join(attribute='x')
l | min
l | max
words | min
mixed | max
[] | max
l | sum
words | sum
words | sort(attribute='x')
mixed | sort
d | sort
s | sort | join
l | random is number
raise_exception('no')
raise_exception()
strftime_now('%Y-%m-%d %H:%M:%S')
strftime_now('%d %b %Y')
strftime_now('%A %B %-d %j %p %I')
strftime_now(1)
strftime_now()
namespace()
namespace({'a': 1}).a
loop.index
messages
self
(1, 2)[0]
1, 2
1,
()
(1)
[1,]
{'a': 1,}
{'a' 1}
[1 2]
1 +
a b
'abc
"\\x41\\u00e9\\N{BULLET}\\101\\q"
'\\'
'a\\
1__0
1_0
0b101
0o17
017
00
1.
.5
1.5.2
1e5
1e
a.b.c
1 if 2 if 3
1 if 0 else 2 if 0 else 3
[x for x in l]
lambda: 1
l | length > 2 and s
l|length*2
-l|length
'a'~'b'|upper
('a'~'b')|upper
'a' + 'b' | upper
not l | length
1 in [1] == true
1 == 1 in [true]
s.upper().lower().title()
s|upper|lower|title
s is string | string
s is not string
(s is string) | string
d.b + 1
d.A[0] * 2
d['A'] | last
*l
**d
range(*[1, 3]) | list
dict(**d).b
dict(**{'x': 1})
dict(a=1, a=2)
s.replace(*['l', 'L'])
s.split(sep=',')
s.upper(1)
s.strip(1)
s.join(1)
namespace(**{'a': 1}).a
'a' if true else
false or none or 0 or 'x'
1 and '' and 2
[] or {}
'x' and none
1.0 == 1
'1' == 1
"a" 'b'
s.format
s.nothing
s.nothing()
s.constructor
l.constructor
d.constructor
d.__proto__
l.length
s.length
l.push
l.append(1)
l.append
d.update({})
d.pop('a')
[].append is defined
l.sort()
s.encode('utf-8')
''.join(['a', 'b'] | reverse)
''.join(l)
(s | list) == (s | list)
(l | map('string')) is iterable
(l | map('string')) | length
l | map('string')
(l | map('string') | list)[0]
l | map('int') | first
l | map('int') | last
not (l | select('>', 100))
(l | select('>', 100) | list) or 'none'
l | first | string
d | map('upper') | list
none | map('upper') | list
nope | map('upper') | list
5 | map('upper') | list
l | map | list
l | map(attribute='x', y=1) | list
l | selectattr | list
people | selectattr('name', 'startswith', 'B') | list
people | map('attr', 'name') | list
people | map(attribute='at') | map(attribute='city') | map('upper') | list
matrix | map('sum') | list
matrix | map(attribute=0) | list
matrix | map('join', '+') | join('; ')
matrix | sum(start=[])
pairs | map('first') | list
words | map('first') | join
words | map('trim', 'p') | list
words | map('tojson') | join(', ')
words | join(', ', attribute='x')
people | join(', ', attribute='name')
people | map(attribute='name') | map('lower') | sort | join(' ')
people | selectattr('age', '>', 26) | map(attribute='name') | list
people | selectattr('age', 'undefined') | map(attribute='name') | list
people | selectattr('name', 'in', 'Bobo') | map(attribute='name') | list
people | rejectattr('name', 'eq', 'Bo') | first
people | map(attribute='name') | first
people | first | attr('name')
(people | first).name
people[0].at.city.upper()
people[-1].at.city
people[-1].at.city.upper()
people[-1].at.city | default('?')
people | map(attribute='at.city') | select | list
people | map(attribute='at.city') | select('string') | list
""".strip("\n").split("\n")
FIXED[0] = FIXED[0].removeprefix("selectattr ")


def expressions(rng):
    for expression in FIXED:
        yield out(expression)
    for value in VALUES:
        for show in ["{}", "[{}]", "{} | string", "{} | tojson", "{} | list", "{} | first", "{} | length", "{} ~ ''", "not {}", "-{}", "{}.x", "{}[0]"]:
            if rng.random() < 0.7:
                yield out(show.format(value))
    for _ in range(1500):
        left, right, operator = rng.choice(VALUES), rng.choice(VALUES), rng.choice(BINARY)
        if operator == "**" and ("2**70" in (left, right) or "huge" in (left, right) or right in ("1_000", "1e3", "1e16")):
            continue
        yield out(f"{left} {operator} {right}")
    for _ in range(250):
        a, b, c = (rng.choice(["i", "f", "2", "3", "-1", "yes", "0.1", "l", "s"]) for _ in range(3))
        yield out(f"{a} {rng.choice(BINARY[:-1])} {b} {rng.choice(BINARY[:-1])} {c}")
    for name in FILTERS:
        for _ in range(24):
            given = arguments(rng)
            yield out(f"{rng.choice(VALUES)} | {name}" + (f"({given})" if given or rng.random() < 0.3 else ""))
            if rng.random() < 0.4:
                yield out(f"{rng.choice(['l', 'words', 'people', 'mixed', 'pairs', 's', 'd'])} | {name}({given}) | list")
    for name in TESTS:
        for _ in range(12):
            given = arguments(rng)
            yield out(f"{rng.choice(VALUES)} is {name}" + (f"({given})" if given else ""))
            yield out(f"{rng.choice(['l', 'words', 'mixed'])} | select('{name}'{', ' + given if given else ''}) | list")
    for name in TEXT_METHODS:
        for _ in range(16):
            yield out(f"{rng.choice(TEXTS)}.{name}({rng.choice(TEXT_ARGUMENTS)})")
        yield out(f"{rng.choice(TEXTS)}.{name} is defined")
    for name in LIST_METHODS:
        for value in ["l", "[1, 2, 1]", "words", "(1, 2)", "range(4)"]:
            yield out(f"{value}.{name}({rng.choice(['', '1', 'none', '2, 0', chr(39) + 'fig' + chr(39)])})")
            yield out(f"{value}.{name} is defined")
    for name in DICT_METHODS:
        for value in ["d", "{}", "{'a': 1}", "namespace(a=1)"]:
            yield out(f"{value}.{name}({rng.choice(['', '1', 'none', chr(39) + 'b' + chr(39), chr(39) + 'q' + chr(39) + ', 2'])})")
            yield out(f"{value}.{name}")
            yield out(f"{value}['{name}']")
            yield out(f"{value}.{name} is defined")
    for _ in range(450):
        yield out(f"{rng.choice(['l', 's', 'u', 'd', 'words', 'mixed', 'range(6)', '(1, 2, 3)', 'i', 'none', 'nope', 'e', 'people'])}[{rng.choice(INDICES)}]")
    for _ in range(350):
        yield out(f"'{rng.choice(PERCENT)}' % {rng.choice(PERCENT_ARGUMENTS)}")
    for _ in range(350):
        yield out(f"'{rng.choice(FORMATS)}'.format({rng.choice(FORMAT_ARGUMENTS)})")
    for _ in range(200):
        yield out(f"{rng.choice(VALUES)} | tojson({rng.choice(JSON)})")
    for _ in range(1100):
        yield out(nested(rng, rng.choice([2, 2, 3])))
