"""Tags with every sign of whitespace control, between every kind of text."""
from itertools import product

TEXTS = ["", " ", "\n", " \n", "\n  ", " \n\n ", "x", " x ", "x\n", "\nx", "\n \t", "x \n y"]
OPEN = ["{%", "{%-", "{%+"]
CLOSE = ["%}", "-%}", "+%}"]


def tag(rng, body):
    return f"{rng.choice(OPEN)} {body} {rng.choice(CLOSE)}"


def unit(rng):
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice(["{{", "{{-", "{{+"]) + rng.choice([" 'v' ", "'v'", " 1 +1 ", "-1"]) + rng.choice(["}}", "-}}", "+}}"])
    if kind == 1:
        return rng.choice(["{#", "{#-", "{#+"]) + rng.choice([" c ", "", "\n", "c-", "- c"]) + rng.choice(["#}", "-#}", "+#}"])
    if kind == 2:
        return tag(rng, "raw") + rng.choice(TEXTS) + rng.choice(["{{ x }}", "{% if", "{# c #}", "-"]) + rng.choice(TEXTS) + tag(rng, "endraw")
    if kind == 3:
        return tag(rng, "for i in [1,2]") + rng.choice(TEXTS) + "{{ i }}" + rng.choice(TEXTS) + tag(rng, "endfor")
    if kind == 4:
        return tag(rng, "if " + rng.choice(["true", "false"])) + rng.choice(TEXTS) + tag(rng, "else") + rng.choice(TEXTS) + tag(rng, "endif")
    if kind == 5:
        return tag(rng, "set a") + rng.choice(TEXTS) + "b" + rng.choice(TEXTS) + tag(rng, "endset") + "[{{ a }}]"
    if kind == 6:
        return tag(rng, "generation") + rng.choice(TEXTS) + "g" + rng.choice(TEXTS) + tag(rng, "endgeneration")
    return tag(rng, "set a = 1")


def whitespace(rng):
    for text, after, first, last in product(TEXTS, TEXTS, OPEN, CLOSE):
        if rng.random() < 0.35:
            yield f"{text}{first} set a = 1 {last}{after}|{text}{{{{ 2 }}}}{after}", "one"
    for _ in range(900):
        template = "".join(rng.choice(TEXTS) + unit(rng) for _ in range(rng.randint(1, 4))) + rng.choice(TEXTS)
        yield template, "one"
        if rng.random() < 0.3:
            yield template.replace("\n", rng.choice(["\r\n", "\r"])), "one"
