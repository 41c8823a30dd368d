"""Tags: loops, conditions, assignments and their scopes, macros, calls, filters, blocks, right and wrong."""

FIXED = """
{% for x in l %}{{ loop.index }}/{{ loop.length }}:{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}
{% for x in l %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}
{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}
{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}
{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }} {% endfor %}
{% for x in l %}{{ loop.cycle() }}{% endfor %}
{% for x in l %}{{ loop }}{% endfor %}
{% for x in l %}{{ loop.nothing }}{{ loop['index'] }}{{ loop | length }}{% endfor %}
{% for x in l if x > 1 %}{{ loop.index }}{{ loop.length }}{{ x }}{% else %}none{% endfor %}
{% for x in l if x > 9 %}{{ x }}{% else %}none{% endfor %}
{% for x in [] %}{{ x }}{% else %}{{ x }}none{% endfor %}
{% for x in nope %}{{ x }}{% else %}none{% endfor %}
{% for x in none %}{{ x }}{% else %}none{% endfor %}
{% for x in nil %}{{ x }}{% endfor %}
{% for x in 5 %}{{ x }}{% endfor %}
{% for c in u %}[{{ c }}]{% endfor %}
{% for k in d %}{{ k }} {% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for k, v in d | dictsort %}{{ k }}={{ v }};{% endfor %}
{% for k, v in d | items %}{{ k }}={{ v }};{{ loop.length }}{% endfor %}
{% for k, v in pairs %}{{ k }}{{ v }}{% endfor %}
{% for k, v in l %}{{ k }}{% endfor %}
{% for k, v in matrix %}{{ k }}{% endfor %}
{% for (a, b) in matrix %}{{ a }}{{ b }}{% endfor %}
{% for a, b in ['xy', 'zw'] %}{{ b }}{{ a }}{% endfor %}
{% for a, b in ['xyz'] %}{{ b }}{% endfor %}
{% for a, (b, c) in [[1, [2, 3]]] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for x in l %}{% for y in words %}{{ loop.index }}{{ x }}{{ y }}{% endfor %}{{ loop.index }}{% endfor %}
{% for x in l %}{% set outer = loop %}{% for y in l %}{{ outer.index }}.{{ loop.index }} {% endfor %}{% endfor %}
{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}
{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% else %}e{% endfor %}
{% for x in l %}{% break %}{{ x }}{% else %}e{% endfor %}
{% break %}
{% continue %}
{% if true %}{% break %}{% endif %}
{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{{ m() }}{% endfor %}
{% for x in l recursive %}{{ x }}{{ loop([]) }}{% endfor %}
{% for x in [[1, [2, [3]]], 4] recursive %}<{{ loop.depth }}{% if x is iterable %}{{ loop(x) }}{% else %}{{ x }}{% endif %}>{% endfor %}
{% for x in l %}{{ loop(l) }}{% endfor %}
{% for loop in l %}{{ loop }}{% endfor %}
{% for x in l %}{% set loop = 1 %}{% endfor %}
{% for x in l %}{% set y = x %}{% endfor %}{{ y }}|{{ x }}
{% set y = 0 %}{% for x in l %}{{ y }}{% set y = x %}{{ y }}{% endfor %}{{ y }}
{% for x in l %}{{ y }}{% set y = x %}{{ y }} {% endfor %}
{% set ns = namespace(y=0) %}{% for x in l %}{% set ns.y = ns.y + x %}{% endfor %}{{ ns.y }}
{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.b = ns.a + 1 %}{{ ns.a }}{{ ns.b }}{{ ns['a'] }}{{ ns.c is defined }}
{% set ns = namespace(a=1) %}{% set ns._b = 1 %}
{% set ns = namespace(d) %}{{ ns.b }}
{% set ns = namespace(a=1) %}{% if ns %}t{% endif %}{{ 'a' in ns }}
{% set d.b = 2 %}{{ d.b }}
{% set nope.b = 2 %}
{% set d['b'] = 2 %}
{% set x, y = 1, 2 %}{{ x }}{{ y }}
{% set x, y = [1, 2, 3] %}{{ x }}
{% set x = 1, 2 %}{{ x }}
{% set (x, y) = 'ab' %}{{ y }}
{% set x = %}
{% set 1 = 2 %}
{% set none = 2 %}
{% set x %}  a{{ i }}  {% endset %}[{{ x }}]
{% set x | upper | trim %}  a{{ i }}  {% endset %}[{{ x }}]
{% set x | nothing %}a{% endset %}
{% set ns = namespace() %}{% set ns.x %}a{% endset %}{{ ns.x }}
{% if yes %}{% set q = 1 %}{% endif %}{{ q }}
{% if no %}{% set q = 1 %}{% endif %}{{ q is defined }}
{% if no %}a{% elif i == 7 %}b{% else %}c{% endif %}
{% if no %}a{% elif no %}b{% elif z %}d{% else %}c{% endif %}
{% if [] or {} or '' or 0 or 0.0 or none or nope %}a{% else %}b{% endif %}
{% if l | select('>', 100) %}generator{% endif %}
{% if nope.x %}a{% endif %}
{% if 1, %}a{% endif %}
{% if %}a{% endif %}
{% if yes %}
{% endif %}
{% else %}
{% endfor %}
{% if yes %}{% endfor %}
{% unknown %}
{% %}
{{ }}
{{ 1
{% if yes
{# open
{% raw %}{{ x }}
{{ 1 }} }} %} #}
{{ '}}' }}{{ "%}" }}{{ '{{' }}
{{ {'a': {'b': 1}}}}
{{ {'a': {'b': 1}}['a']['b'] }}
{% raw %}{{ not }}{% if %}{# c #}{% endraw %}
{%raw%}a{%endraw%}b
{% raw x %}a{% endraw %}
{% macro m(a, b=2, c='x') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c='y') }}{{ m() }}{{ m(b=a) }}
{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(x=2) }}
{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}
{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}
{% macro m(a) %}{{ varargs | length }}{{ kwargs.x }}{% endmacro %}{{ m(1, 2, x=3) }}
{% macro m(a=1, b) %}{% endmacro %}
{% macro m() %}{{ i }}{% set i = 2 %}{{ i }}{% endmacro %}{{ m() }}{{ i }}
{% set g = 1 %}{% macro m() %}{{ g }}{% endmacro %}{% set g = 2 %}{{ m() }}
{% macro m() %}{{ g }}{% endmacro %}{% set g = 2 %}{{ m() }}
{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}{{ m is defined }}
{% for x in l %}{% set g = x %}{{ m() }}{% endfor %}{% macro m() %}{{ g }}{% endmacro %}
{{ m() }}{% macro m() %}a{% endmacro %}
{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(5) }}
{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(5) }}
{% macro m() %}a{% endmacro %}{{ m }}{{ m.name }}{{ m.arguments }}
{% macro m(a, b) %}a{% endmacro %}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.caller }}
{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in{{ i }}{% endcall %}
{% macro m() %}<{{ caller(1, 2) }}>{% endmacro %}{% call(a, b=3) m() %}{{ a }}{{ b }}{% endcall %}
{% macro m() %}<{{ caller() }}>{% endmacro %}{{ m() }}
{% macro m() %}{% if caller is defined %}y{% else %}n{% endif %}{% endmacro %}{{ m() }}{% call m() %}{% endcall %}
{% macro m() %}x{% endmacro %}{% call m() %}{% endcall %}
{% call m %}{% endcall %}
{% macro m(a) %}  {{ a }}  {% endmacro %}[{{ m('x') | trim }}]{{ m('y') ~ 'z' }}{{ m('<') + '<' }}
{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner is defined }}
{% filter upper %}a{{ s }}b{% endfilter %}
{% filter trim | replace('a', 'b') %}  aXa  {% endfilter %}|
{% filter indent(2) %}a
b{% endfilter %}
{% filter nothing %}a{% endfilter %}
{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}
{% with q = 1, r = 2 %}{{ q }}{{ r }}{% endwith %}{{ q }}
{% with q = 1, r = q %}{{ q }}{{ r }}{% endwith %}
{% with i = i + 1 %}{{ i }}{% endwith %}{{ i }}
{% set q = 5 %}{% with q = 1, r = q %}{{ q }}{{ r }}{% endwith %}{{ q }}
{% with a, b = 1, 2 %}{{ a }}{% endwith %}
{% print 1 %}
{% print 1, 's', i %}
{% do 1 %}
{% generation %}g{{ i }}{% endgeneration %}
{% generation %}{% set q = 1 %}{{ q }}{% endgeneration %}{{ q }}
{% for x in l %}{% generation %}{{ x }}{{ loop.index }}{% endgeneration %}{% endfor %}
{% for x in l %}{% generation %}{% break %}{% endgeneration %}{% endfor %}
{% block b %}x{{ i }}{% endblock %}
{% block b %}x{% endblock b %}
{% block b %}x{% endblock %}{% block b %}y{% endblock %}
{% set q = 1 %}{% block b %}{{ q }}{% set q = 2 %}{{ q }}{% endblock %}{{ q }}
{% for x in l %}{% block b %}{{ x }}{% endblock %}{% endfor %}
{% for x in l %}{% block b scoped %}{{ x }}{{ loop.index }}{% endblock %}{% endfor %}
{% block b %}x{% endblock %}{{ self.b() }}
{% block b %}{{ super() }}{% endblock %}
{% include 'x' %}
{% include 'x' ignore missing %}
{% if no %}{% include 'x' %}{% endif %}ok
{% extends 'x' %}
{% import 'x' as y %}
{% from 'x' import y %}
{% autoescape true %}{{ html }}{% endautoescape %}
{% autoescape false %}{{ html }}{% endautoescape %}
{% if yes %}{{ 1 | nothing }}{% endif %}
{% if no %}{{ 1 | nothing }}{% endif %}ok
{{ 1 | nothing if no else 2 }}
{{ 1 | nothing if yes else 2 }}
{% if 1 is nothing %}{% endif %}
{% if no %}{{ 1 is nothing }}{% endif %}ok
{% for x in l %}{{ x | nothing }}{% endfor %}
{% for x in [] %}{{ x | nothing }}{% endfor %}ok
{% set gen = l | map('string') %}{{ gen | join }}|{{ gen | join }}
{% set gen = l | select('odd') %}{% for x in gen %}{{ x }}{% endfor %}|{% for x in gen %}{{ x }}{% endfor %}
{% set gen = l | map('string') %}{% for x in gen %}{{ x }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{% endfor %}
{% set gen = l | map('string') %}{{ gen | first }}{{ gen | list }}
{% set rev = l | reverse %}{{ rev | list }}{{ rev | list }}
{% set it = d.items() %}{{ it | list | length }}{{ it | list | length }}
{% set x = l %}{% set y = x %}{{ x is sameas y }}{{ x == y }}
{% set x = [] %}{% for y in l %}{% set x = x + [y] %}{% endfor %}{{ x }}
{% set ns = namespace(x=[]) %}{% for y in l %}{% set ns.x = ns.x + [y * 2] %}{% endfor %}{{ ns.x }}
{% set ns = namespace(found=false) %}{% for y in l %}{% if y == 1 %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.found }}
{% set x = {'a': 1} %}{% set _ = x.update({'b': 2}) %}{{ x }}
{% set x = [] %}{% set _ = x.append(1) %}{{ x }}
{%- set a = 1 -%}   {{- a -}}   b
{% set true = 1 %}
{{ true }}{{ loop }}
{% for true in l %}{% endfor %}
{% for x.y in l %}{% endfor %}
{% for x in l, words %}{{ x }}{% endfor %}
{% for x in l if yes else words %}{{ x }}{% endfor %}
{% for x in (l if yes else words) %}{{ x }}{% endfor %}
{% for x in l recursive if x %}{% endfor %}
{% if i == 7: %}a{% endif %}
{% for x in l: %}{{ x }}{% endfor %}
{% for i in l %}{{ i }}{% endfor %}{{ i }}
{% for i in range(i) %}{{ i }}{% endfor %}
{% for i in [1] %}{% for i in [2] %}{{ i }}{% endfor %}{{ i }}{% endfor %}{{ i }}
{% for x in l %}{% if loop.first %}{% set z = x %}{% endif %}{{ z }}{% endfor %}{{ z }}
{% if yes %}{% set z = 9 %}{% endif %}{% for x in l %}{{ z }}{% endfor %}
{% set z = z + 1 %}{{ z }}{% set z = z + 1 %}{{ z }}
{% set z = 1 %}{% macro m() %}{% set z = z + 1 %}{{ z }}{% endmacro %}{{ m() }}{{ m() }}{{ z }}
{% macro m(z) %}{% set z = z + 1 %}{{ z }}{% endmacro %}{{ m(1) }}{{ z }}
{{ [1, 2, 3] | map('string') | map('upper') | join }}
{{ '\\n' }}|{{ "\\t" }}|{{ '\\\\n' }}|{{ 'a\\'b' }}
{{ 'a
b' }}
a{{- 1 -}}b {{- 2 }} c {{ 3 -}} d
{{+ 1 }}
{%+ if yes %}a{%+ endif %}
{% if yes %}a{% endif -%}   b
{{ i }}{# comment {{ nope.x }} #}{{ i }}
{#- a -#}  x  {#- b -#}
{# a #}
x
text only

{{ 'x' }}

{{ 'x' }}


""".strip("\n").split("\n")


def template(rng, depth):
    parts = [piece(rng, depth) for _ in range(rng.randint(1, 4))]
    return "".join(parts)


ATOMS = ["i", "x", "y", "ns.v", "l", "words", "s", "q", "loop.index", "loop.last", "x + 1", "y ~ 'k'", "m(x)", "m(1, b=y)", "x | string", "nope", "d.b", "x.name", "z"]
CONDITIONS = ["yes", "no", "x", "x == 1", "x is defined", "y is not defined", "loop.first", "not loop.last", "ns.v > 2", "i > 3 and z", "x is string", "x in l", "q"]
SOURCES = ["l", "words", "s", "[]", "range(3)", "d", "people", "matrix", "l | reverse", "words | sort", "nope", "l | select('odd')", "mixed", "[x, y]"]


def piece(rng, depth):
    kind = rng.randrange(13 if depth else 4)
    inner = lambda: template(rng, depth - 1)  # noqa: E731
    if kind <= 1:
        return "{{ " + rng.choice(ATOMS) + " }}"
    if kind == 2:
        return rng.choice(["a", " ", "\n", " b\n", "-"])
    if kind == 3:
        return "{% set " + rng.choice(["x", "y", "q", "ns.v", "z"]) + " = " + rng.choice([*ATOMS, "1", "q + 1", "ns.v + 1", "'t'"]) + " %}"
    if kind <= 6:
        test = " if " + rng.choice(CONDITIONS) if rng.random() < 0.2 else ""
        otherwise = "{% else %}" + inner() if rng.random() < 0.2 else ""
        return "{% for " + rng.choice(["x", "x", "y", "i", "q"]) + " in " + rng.choice(SOURCES) + test + " %}" + inner() + otherwise + "{% endfor %}"
    if kind <= 8:
        otherwise = "{% elif " + rng.choice(CONDITIONS) + " %}" + inner() if rng.random() < 0.3 else ""
        otherwise += "{% else %}" + inner() if rng.random() < 0.5 else ""
        return "{% if " + rng.choice(CONDITIONS) + " %}" + inner() + otherwise + "{% endif %}"
    if kind == 9:
        return "{% macro " + rng.choice(["m", "m", "k"]) + "(x, b=" + rng.choice(["1", "i", "x"]) + ") %}" + inner() + "{% endmacro %}"
    if kind == 10:
        return "{% set " + rng.choice(["x", "q"]) + " %}" + inner() + "{% endset %}"
    if kind == 11:
        return "{% with " + rng.choice(["x", "q"]) + " = " + rng.choice(ATOMS) + " %}" + inner() + "{% endwith %}"
    return rng.choice(["{% filter upper %}" + inner() + "{% endfilter %}", "{% generation %}" + inner() + "{% endgeneration %}",
                       "{% if x %}{% break %}{% endif %}", "{% continue %}", "{% call m(x) %}" + inner() + "{% endcall %}"])


START = "{% set ns = namespace(v=1) %}{% macro m(x, b=2) %}<{{ x }}{{ b }}{{ i }}>{% endmacro %}"


def statements(rng):
    for line in FIXED:
        yield line, "values"
    for _ in range(1500):
        yield (START if rng.random() < 0.8 else "") + template(rng, rng.choice([1, 2, 2, 3])), "values"
