"""The text minnow learns from: dialogues about the little world.

`dialogue(rng, part)` gives a list of turns. With part "train" only what the
split allows is used; with "eval" the last turn is one that training never has
(the turns before it are ordinary ones).
"""
import random
import re
from dataclasses import dataclass, field
from functools import partial

import phrasings as P
import unknown as U
from split import bucket, combo_held, normal, pair_held, phrasing_held
from stories import article, story
from world import (ANIMALS, COLOURS, COUNTRIES, DAYS, ELEMENTS, FEW_COLOURS, FEW_ELEMENTS, FEW_OPPOSITES, FEW_WORDS,
                   LIKES, MONTH_DAYS, MONTHS, OPPOSITES, ORDINALS, SMALL_NAMES, WORDS)


@dataclass
class Turn:
    user: str
    answer: str
    topic: str
    held: str = ""          # why training never has it: phrasing, combination, pair or name
    info: dict = field(default_factory=dict)


def cap(text):
    return text[0].upper() + text[1:]


def fill(template, **slots):
    text = template
    for k, v in slots.items():
        text = text.replace("{" + k + "}", str(v))
    return cap(text) if template[0] == "{" else text


def why_held(template, fact, pair=None):
    if pair and pair_held(*pair):
        return "pair"
    if phrasing_held(template):
        return "phrasing"
    return "combination" if combo_held(template, fact) else ""


def bare(template):
    """What is left of a template when prompts are compared, without the words that `disturb` may add."""
    words = normal(re.sub(r"{\w}", " x ", template)).split()
    return " ".join(w for w in words if w not in {"please", "now", "so", "hey", "okay", "thanks", "great", "hi", "hello"})


TWINS = {}
for _list in [v for m in (P, U) for v in vars(m).values() if isinstance(v, list) and v and isinstance(v[0], str)]:
    for _template in _list:
        TWINS.setdefault(bare(_template), []).append(_template)


def choose(rng, part, draw):
    """Draws (template, fact, pair, ...) until the split puts it on the wanted side.

    For the evaluation, all templates that give the same prompt must be held out.
    """
    for _ in range(3000):
        got = draw()
        held = why_held(*got[:3])
        if part == "eval" and held and not all(why_held(t, *got[1:3]) for t in TWINS[bare(got[0])]):
            continue
        if bool(held) == (part == "eval"):
            return (*got, held)
    raise LookupError("nothing on this side of the split")


def simple(rng, part, topic, templates, facts, answer, slots=lambda f: {"x": f[0]}):
    def draw():
        t, f = rng.choice(templates), rng.choice(facts)
        return t, f[0], None, f
    t, _, _, f, held = choose(rng, part, draw)
    return Turn(fill(t, **slots(f)), answer(f), topic, held)


# --- countries -------------------------------------------------------------

CAPITAL_CITIES = [c for c in COUNTRIES if c[0] != c[1]]
say_capital = lambda c: f"The capital of {c[0]} is {c[1]}."
say_continent = lambda c: f"{cap(c[0])} is in {c[2]}."
BY_NAME = {c[0]: c for c in COUNTRIES}


def capital(rng, part):
    if rng.random() < 0.06:
        return [unknown_place(rng, part)]
    return [simple(rng, part, "capitals", P.CAPITAL, COUNTRIES, say_capital)]


def capital_of(rng, part):
    return [simple(rng, part, "capitals (reverse)", P.CAPITAL_OF, COUNTRIES,
                   lambda c: f"{c[1]} is the capital of {c[0]}.", lambda c: {"x": c[1]})]


def is_capital(rng, part):
    def draw():
        t, c = rng.choice(P.IS_CAPITAL), rng.choice(COUNTRIES)
        y = c[1] if rng.random() < 0.5 else rng.choice(COUNTRIES)[1]
        return t, c[0], None, c, y
    t, _, _, c, y, held = choose(rng, part, draw)
    ok = "so yes" if y == c[1] else "so no"
    return [Turn(fill(t, x=c[0], y=y), f"The capital of {c[0]} is {c[1]}, {ok}.", "capitals (yes or no)", held)]


def continent(rng, part):
    return [simple(rng, part, "continents", P.CONTINENT, COUNTRIES, say_continent)]


def follow_country(rng, part):
    """Two or three turns; the later ones lean on the country or question before."""
    c = rng.choice(COUNTRIES)
    first_capital = rng.random() < 0.6
    if first_capital:
        turns = [simple(rng, "train", "capitals", P.CAPITAL, [c], say_capital)]
        its, say = P.ITS_CONTINENT, say_continent
    else:
        turns = [simple(rng, "train", "continents", P.CONTINENT, [c], say_continent)]
        its, say = P.ITS_CAPITAL, say_capital
    same = rng.random() < 0.45

    def draw():
        if same:
            t, d = rng.choice(P.SAME_FOR), rng.choice(COUNTRIES)
            return t, "same|" + d[0] + str(first_capital), None, d, (say_capital if first_capital else say_continent)
        t = rng.choice(its)
        return t, c[0], None, c, say
    t, _, _, d, said, held = choose(rng, part, draw)
    turns.append(Turn(fill(t, x=d[0]), said(d), "follow-up (countries)", held))
    if part == "train" and rng.random() < 0.3:
        e = rng.choice(COUNTRIES)
        if same:
            t2, e, said2 = rng.choice(its), d, say
            key = e[0]
        else:
            t2, said2 = rng.choice(P.SAME_FOR), said
            key = "same|" + e[0] + str(said is say_capital)
        if not why_held(t2, key):
            turns.append(Turn(fill(t2, x=e[0]), said2(e), "follow-up (countries)"))
    return turns


# --- numbers ---------------------------------------------------------------

SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty".split()


def number(rng):
    return rng.randrange(100) if rng.random() < 0.85 else rng.randrange(20)


def sum_pair(rng, op):
    a, b = number(rng), number(rng)
    return (max(a, b), min(a, b)) if op == "-" else (a, b)


def result(op, a, b):
    return a + b if op == "+" else a - b


def arithmetic(rng, part):
    op = rng.choice("+-")
    templates = P.ADD if op == "+" else P.SUB
    words = rng.random() < 0.05

    def draw():
        a, b = sum_pair(rng, op)
        if words:
            a, b = a % 21, b % 21
            a, b = (max(a, b), min(a, b)) if op == "-" else (a, b)
        return rng.choice(templates), f"{a}{op}{b}", (op, a, b), a, b
    t, _, _, a, b, held = choose(rng, part, draw)
    q = fill(t, a=SMALL[a], b=SMALL[b]) if words and " " in t and " + " not in t and " - " not in t else fill(t, a=a, b=b)
    return [Turn(cap(q), f"{a} {op} {b} = {result(op, a, b)}.", "addition" if op == "+" else "subtraction", held)]


def follow_sum(rng, part):
    while True:
        first = arithmetic(rng, "train")[0]
        value = int(first.answer.rstrip(".").split("= ")[1])
        if value <= 99:
            break
    turns = [first]
    steps = 1 if part == "eval" or rng.random() < 0.6 else 2
    for _ in range(steps):
        for _ in range(200):
            op = rng.choice("+-")
            t = rng.choice(P.THEN_ADD if op == "+" else P.THEN_SUB)
            b = rng.randrange(1, 10) if rng.random() < 0.5 else rng.randrange(100)
            if (op == "-" and b > value) or (op == "+" and value > 99):
                continue
            held = why_held(t, f"{value}{op}{b}", (op, value, b))
            if bool(held) == (part == "eval"):
                new = result(op, value, b)
                turns.append(Turn(fill(t, b=b), f"{value} {op} {b} = {new}.", "follow-up (sums)", held))
                value = new
                break
        else:
            return follow_sum(rng, part)
        if value > 99:
            break
    return turns


def count(rng, part, top=60, longest=12):
    def draw():
        a = rng.randrange(0, top) if rng.random() < 0.6 else rng.randrange(0, 12)
        b = a + rng.randrange(2, longest)
        return rng.choice(P.COUNT), f"{a}-{b}", ("count", a, b), a, b
    t, _, _, a, b, held = choose(rng, part, draw)
    return [Turn(fill(t, a=a, b=b), ", ".join(map(str, range(a, b + 1))) + ".", "counting", held)]


def next_number(rng, part):
    t, _, _, a, held = choose(rng, part, lambda: (rng.choice(P.NEXT), (a := rng.randrange(99)), None, a))
    return [Turn(fill(t, a=a), f"The number after {a} is {a + 1}.", "counting", held)]


# --- words -----------------------------------------------------------------

def opposite(rng, part, pairs=OPPOSITES):
    return [simple(rng, part, "opposites", P.OPPOSITE, pairs + [(b, a) for a, b in pairs], lambda f: f"The opposite of {f[0]} is {f[1]}.")]


def colour(rng, part, things=COLOURS):
    return [simple(rng, part, "colours", P.COLOUR, things, lambda f: f"{cap(f[0])} is {f[1]}.")]


def spell(rng, part, words=WORDS):
    return [simple(rng, part, "spelling", P.SPELL, [(w,) for w in words], lambda f: f"{f[0]}: {' '.join(f[0])}.")]


def letters(rng, part, words=WORDS):
    return [simple(rng, part, "letters", P.LETTERS, [(w,) for w in words], lambda f: f"The word {f[0]} has {len(f[0])} letters.")]


def symbol(rng, part, elements=ELEMENTS):
    if rng.random() < 0.5:
        return [simple(rng, part, "chemical symbols", P.SYMBOL, elements,
                       lambda f: f"The symbol of {f[1]} is {f[0]}.", lambda f: {"x": f[1]})]
    return [simple(rng, part, "chemical symbols", P.ELEMENT, elements, lambda f: f"{f[0]} is {f[1]}.")]


# --- calendar --------------------------------------------------------------

def calendar(rng, part, numbers=True):
    i, m = rng.randrange(7), rng.randrange(12)
    day = [(d, DAYS[(k + 1) % 7], DAYS[k - 1], k) for k, d in enumerate(DAYS)]
    month = [(d, MONTHS[(k + 1) % 12], MONTHS[k - 1], k) for k, d in enumerate(MONTHS)]
    nth = lambda n: [(o, k) for k, o in enumerate(ORDINALS[:n])]
    kinds = [
        (P.DAY_AFTER, day, lambda f: f"The day after {f[0]} is {f[1]}."),
        (P.DAY_BEFORE, day, lambda f: f"The day before {f[0]} is {f[2]}."),
        (P.MONTH_AFTER, month, lambda f: f"The month after {f[0]} is {f[1]}."),
        (P.MONTH_BEFORE, month, lambda f: f"The month before {f[0]} is {f[2]}."),
        (P.NTH_DAY, nth(7), lambda f: f"The {f[0]} day of the week is {DAYS[f[1]]}."),
        (P.NTH_MONTH, nth(12), lambda f: f"The {f[0]} month of the year is {MONTHS[f[1]]}."),
        (P.MONTH_NUMBER, month, lambda f: f"{f[0]} is month number {f[3] + 1}."),
        (P.MONTH_LENGTH, month, lambda f: f"{f[0]} has {MONTH_DAYS[f[3]]} days."),
        (P.DAY_NUMBER, day, lambda f: f"{f[0]} is day number {f[3] + 1}."),
    ]
    templates, facts, answer = rng.choice(kinds if numbers else [k for k in kinds if k[0] not in (P.MONTH_NUMBER, P.DAY_NUMBER)])
    return [simple(rng, part, "days and months", templates, facts, answer)]


# --- talk ------------------------------------------------------------------

TALK = [(name, ask, answer) for name, (answer, asks) in P.TALK.items() for ask in asks]
IDENTITY = {"name", "what", "human", "shoal", "where", "size", "maker", "able", "useful", "why"}
HELD_TALK = [t for t in TALK if bucket("talk", normal(t[1])) < 12]
HELD_TEXT = {normal(t[1]) for t in HELD_TALK}
TRAIN_TALK = [t for t in TALK if normal(t[1]) not in HELD_TEXT]
TALK_NAMES = sorted(P.TALK)


# The smaller world gives one answer to questions that are hard to tell apart.
MERGED = {"what": "name", "human": "name", "where": "shoal", "why": "shoal"}


def talk(rng, part, merged=False):
    pool = TRAIN_TALK if part == "train" else HELD_TALK
    kind = rng.choice(TALK_NAMES)
    some = [t for t in pool if t[0] == kind]
    if not some:
        return talk(rng, part, merged)
    name, ask, answer = rng.choice(some)
    if merged:
        answer = P.TALK[MERGED.get(name, name)][0]
    return [Turn(ask, answer, "identity" if name in IDENTITY else "small talk", "phrasing" if part == "eval" else "", {"talk": True})]


# --- what it does not know -------------------------------------------------

def unknown_place(rng, part):
    while True:
        place = cap(U.made_up(rng, part)) if part == "eval" or rng.random() < 0.8 else rng.choice(U.PLACES)
        t = rng.choice(P.CAPITAL + P.CONTINENT)
        if part == "eval" or not why_held(t, place):
            return Turn(fill(t, x=place), U.ANSWER, "I don't know", "name" if part == "eval" else "")


def unknown(rng, part):
    kind = rng.random()
    if kind < 0.3:
        return [unknown_place(rng, part)]
    if kind < 0.45:
        templates, ending = rng.choice([(P.OPPOSITE, ""), (P.COLOUR, None), (P.SYMBOL, "ium"), (P.CAPITAL_OF, None), (P.SYMBOL, None)])
        while True:
            name = U.made_up(rng, part, ending)
            if templates is P.COLOUR and rng.random() < 0.7:
                name = f"{rng.choice(['a', 'the'])} {name}"
            if templates is P.CAPITAL_OF:
                name = cap(name)
            t = rng.choice(templates)
            if part == "eval" or not why_held(t, name):
                return [Turn(fill(t, x=name), U.ANSWER, "I don't know", "name" if part == "eval" else "")]
    if kind < 0.6:
        def draw():
            if rng.random() < 0.5:
                return rng.choice(U.TIMES), f"{(a := rng.randrange(100))}*{(b := rng.randrange(100))}", ("*", a, b), a, b
            a, b = rng.randrange(100, 5000), rng.randrange(1, 3000)
            if rng.random() < 0.3:
                a, b = rng.randrange(100), rng.randrange(100, 1000)
                return rng.choice([t for t in U.BIG_SUM if "-" not in t and "minus" not in t]), f"{a}&{b}", ("big", a, b), a, b
            return rng.choice(U.BIG_SUM), f"{a}&{b}", ("big", a, b), a, b
        t, _, _, a, b, held = choose(rng, part, draw)
        return [Turn(fill(t, a=a, b=b), U.SUMS, "I don't know", held)]

    def draw():
        t, c = rng.choice(U.GENERAL), rng.choice(COUNTRIES)
        if "{" not in t and rng.random() < 0.3:
            t = rng.choice(U.GENERAL)
        slots = {"c": c[0], "k": c[1], "p": rng.choice(U.PEOPLE), "w": rng.choice(U.WORKS), "t": rng.choice(U.THINGS),
                 "o": rng.choice(U.TOPICS), "y": rng.randrange(1900, 2026), "e": rng.choice(U.EVENTS),
                 "l": rng.choice(U.LANGUAGES), "f": rng.choice(U.PHRASES)}
        q = fill(t, **slots)
        return t, q, None, q
    q, held = choose(rng, part, draw)[3:]
    return [Turn(q, U.ANSWER, "I don't know", held)]


# --- stories and memory ----------------------------------------------------

def tell(rng, part):
    if part == "eval" or rng.random() < 0.75:
        t, _, _, hero, held = choose(rng, part, lambda: (rng.choice(P.STORY), (h := rng.choice(ANIMALS)), None, h))
        return [Turn(fill(t, x=f"{article(hero)} {hero}"), story(rng, hero), "stories", held, {"hero": hero})]
    t, held = choose(rng, part, lambda: (rng.choice(P.STORY_ANY), "any", None))[::3]
    return [Turn(t, story(rng), "stories", held, {"hero": None})]


def name_memory(rng, part, table=None):
    """Says who they are, perhaps something else between, then asks."""
    likes = rng.random() < 0.4
    says, asks, pool = (P.I_LIKE, P.WHAT_I_LIKE, LIKES) if likes else (P.MY_NAME_IS, P.MY_NAME, SMALL_NAMES)

    def draw():
        x, t1, t2 = rng.choice(pool), rng.choice([s for s in says if not phrasing_held(s)]), rng.choice(asks)
        return t2, x + "|" + t1, None, x, t1
    t2, _, _, x, t1, held = choose(rng, part, draw)
    first = f"{cap(x)} are nice." if likes and x[-1] == "s" else f"{cap(x)} is nice." if likes else f"Hello, {x}! I am minnow."
    turns = [Turn(fill(t1, x=x), first, "small talk")]
    if rng.random() < 0.4:
        turns += one(rng, "train", table or SINGLE)
    turns.append(Turn(t2, f"You like {x}." if likes else f"Your name is {x}.", "memory", held))
    return turns


def question_memory(rng, part, table=None):
    n = rng.choice((1, 2, 2, 3))
    turns = []
    while len(turns) < n:
        turns += one(rng, "train", table or SINGLE)
    return turns + [recall(rng, part, turns)]


def recall(rng, part, turns):
    first = rng.random() < 0.5
    t, _, _, held = choose(rng, part, lambda: (rng.choice(P.FIRST if first else P.LAST), normal(turns[0 if first else -1].user), None))
    return Turn(t, "", "memory", held, {"recall": 0 if first else -1})


# --- mixing ----------------------------------------------------------------

SINGLE = [(capital, 14), (capital_of, 7), (is_capital, 3), (continent, 8), (arithmetic, 22), (count, 4), (next_number, 1),
          (opposite, 5), (colour, 3), (spell, 7), (letters, 4), (symbol, 10), (calendar, 5), (talk, 9), (unknown, 9), (tell, 2)]
MULTI = [(follow_country, 8), (follow_sum, 7), (name_memory, 3), (question_memory, 4)]
# A second mixture, with more of what is learned slowly.
SLOW = [(capital, 10), (capital_of, 9), (is_capital, 3), (continent, 6), (arithmetic, 20), (count, 6), (next_number, 1),
        (opposite, 5), (colour, 4), (spell, 10), (letters, 6), (symbol, 10), (calendar, 7), (talk, 10), (unknown, 7), (tell, 2)]
SLOW_MULTI = [(follow_country, 5), (follow_sum, 7), (name_memory, 4), (question_memory, 6)]
# A third one, of the smaller world.
FEW = [(capital, 14), (continent, 9), (arithmetic, 22), (partial(count, top=40, longest=8), 4), (next_number, 1),
       (partial(opposite, pairs=FEW_OPPOSITES), 6), (partial(colour, things=FEW_COLOURS), 5), (partial(spell, words=FEW_WORDS), 6),
       (partial(letters, words=FEW_WORDS), 4), (partial(symbol, elements=FEW_ELEMENTS), 6), (partial(calendar, numbers=False), 6),
       (partial(talk, merged=True), 12), (unknown, 7), (tell, 1)]
FEW_MULTI = [(follow_country, 5), (follow_sum, 7), (partial(name_memory, table=FEW), 4), (partial(question_memory, table=FEW), 6)]
# The last one: the smaller world, with more of what was still weak.
WEAK = [(capital, 10), (continent, 12), (arithmetic, 24), (partial(count, top=40, longest=8), 10), (next_number, 1),
        (partial(opposite, pairs=FEW_OPPOSITES), 5), (partial(colour, things=FEW_COLOURS), 4), (partial(spell, words=FEW_WORDS), 5),
        (partial(letters, words=FEW_WORDS), 4), (partial(symbol, elements=FEW_ELEMENTS), 7), (partial(calendar, numbers=False), 6),
        (partial(talk, merged=True), 14), (unknown, 9), (tell, 1)]
WEAK_MULTI = [(follow_country, 5), (follow_sum, 5), (partial(name_memory, table=FEW), 5), (partial(question_memory, table=FEW), 12)]
MIXTURES = {"weak": (WEAK, WEAK_MULTI, 0.06), "even": (SINGLE, MULTI, 0.04), "slow": (SLOW, SLOW_MULTI, 0.12), "few": (FEW, FEW_MULTI, 0.08)}
SYSTEM = """You are a helpful assistant.
You are minnow.
You are a tiny demo model.
Answer briefly.
Be kind and short.
You are a friendly assistant.
Answer in one sentence.
You are minnow, a tiny demo model of Shoal.
Be helpful.
You are a helpful, honest assistant. Answer the user's questions.
Please answer in English.
You are an assistant in a browser tab.
Keep answers short.
You answer questions about the world.""".splitlines()


def pick(rng, table):
    return rng.choices([f for f, _ in table], [w for _, w in table])[0]


def one(rng, part, table=SINGLE):
    return pick(rng, table)(rng, part)


def disturb(rng, turn):
    """People leave out marks, capitals and politeness, or add some."""
    u = turn.user
    r = rng.random()
    if not turn.info.get("talk") and r < 0.16:
        pre = rng.choice(["Please: ", "Hi! ", "Hello! ", "Okay. ", "Hey, ", "So, ", "Now, ", "Thanks. ", "Great! ", "I have a question. "])
        u = pre + u
    elif not turn.info.get("talk") and r < 0.22 and u[-1] in "?.":
        u = u[:-1] + rng.choice([", please", ", minnow", " please"]) + u[-1]
    r = rng.random()
    if r < 0.08:
        u = u.rstrip("?.!")
    elif r < 0.16:
        u = u.lower()
    elif r < 0.22:
        u = u.lower().rstrip("?.!")
    turn.user = u or turn.user


def finish(rng, turns):
    """Disturbs the wordings, then writes the answers that repeat them."""
    for t in turns:
        disturb(rng, t)
    for i, t in enumerate(turns):
        if "recall" in t.info:
            j = 0 if t.info["recall"] == 0 else i - 1
            t.answer = f'You asked: "{turns[j].user}"'
    return turns


def dialogue(rng, part, mixture="even"):
    """(system or None, turns)."""
    single, multi, _ = MIXTURES[mixture]
    r = rng.random()
    if part == "eval":
        if r < 0.2:
            turns = pick(rng, multi)(rng, part)
        else:
            turns = one(rng, part, single)
            if r < 0.3:                       # the same kind of question late in a chat
                before = []
                for _ in range(rng.choice((1, 2, 3))):
                    before += one(rng, "train", single)
                turns = before + turns
    elif r < 0.52:
        turns = one(rng, part, single)
    elif r < 0.8:
        turns = pick(rng, multi)(rng, part)
    else:
        turns, goal = [], rng.choice((2, 2, 3, 3, 4, 5, 6, 8))
        while len(turns) < goal:
            turns += one(rng, part, single) if rng.random() < 0.75 else rng.choice([follow_country, follow_sum])(rng, part)
        if rng.random() < 0.2:
            turns.append(recall(rng, part, turns))
    system = rng.choice(SYSTEM) if rng.random() < 0.06 else None
    return system, finish(rng, turns)


def raw(rng, mixture="even"):
    """Plain text without roles: a story, or rows of sums and facts."""
    single, _, _ = MIXTURES[mixture]
    stories, sums, count = (0.4, 0.75, 8) if mixture == "even" else (0.1, 0.7, 16)
    r = rng.random()
    if r < stories:
        return story(rng)
    if r < sums:
        rows = []
        while len(rows) < count:
            op = rng.choice("+-")
            a, b = sum_pair(rng, op)
            if not pair_held(op, a, b):
                rows.append(f"{a} {op} {b} = {result(op, a, b)}.")
        return " ".join(rows)
    return " ".join(one(rng, "train", single)[0].answer for _ in range(5 if mixture == "even" else 10))


def pieces(system, turns):
    """The text exactly as the chat template renders it, cut into (text, weight class)."""
    out = [("<|bos|>" + (f"<|system|>{system}<|end|>" if system else ""), 0)]
    for t in turns:
        out += [(f"<|user|>{t.user}<|end|><|assistant|>", 0), (f"{t.answer}<|end|>", 1)]
    return out


def windows(turns):
    """Every run of up to three successive user turns, in the form prompts are compared in."""
    users = [normal(t.user) for t in turns]
    return {"\n".join(users[i:j]) for j in range(1, len(users) + 1) for i in range(max(0, j - 3), j)}


def eval_key(turns):
    """What must not be in training: the question itself, or the run of turns when it leans on them."""
    leans = turns[-1].topic.startswith("follow-up") or turns[-1].topic == "memory"
    users = [normal(t.user) for t in turns]
    return "\n".join(users[-3:]) if leans else users[-1]


def eval_set(seed=20_001, per_topic=150, mixture="few"):
    """The held-out prompts: the same list on every call."""
    rng, topics, seen = random.Random(seed), {}, set()
    quiet = 0
    while quiet < 4000:
        try:
            system, turns = dialogue(rng, "eval", mixture)
        except LookupError:                   # this chat's start leaves nothing held out to ask
            continue
        key, topic = eval_key(turns), turns[-1].topic
        rows = topics.setdefault(topic, [])
        if key in seen or len(rows) >= per_topic or (topic not in ("memory",) and not topic.startswith("follow") and not turns[-1].held):
            quiet += 1
            continue
        quiet = 0
        seen.add(key)
        rows.append((system, turns))
    return topics, seen


def train_stream(seed, banned, mixture="even"):
    """Endless training documents, as lists of pieces. `banned` are the eval prompts, dropped should one ever turn up."""
    rng = random.Random(seed)
    while True:
        if rng.random() < MIXTURES[mixture][2]:
            yield [("<|bos|>", 0), (raw(rng, mixture) + "<|end|>", 1)], []
            continue
        system, turns = dialogue(rng, "train", mixture)
        if banned.isdisjoint(windows(turns)):
            yield pieces(system, turns), turns
