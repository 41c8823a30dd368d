"""Short stories from a grammar."""
from world import ANIMALS, SMALL_NAMES

PLACES = ["forest", "garden", "village", "meadow", "valley", "harbour", "castle", "town"]
THINGS = ["red ball", "golden key", "little boat", "silver bell", "blue hat", "warm scarf", "round stone", "old map", "paper star", "sweet apple"]
SPOTS = ["under a tree", "behind a stone", "near the river", "on a small hill", "beside the bridge", "inside an old box"]
TRAITS = ["small", "brave", "clever", "kind", "shy", "young", "happy", "curious"]
MEALS = ["soup", "cake", "bread and honey", "apples", "warm milk", "cookies"]
WEATHER = ["It was a sunny day.", "It was raining.", "The wind was strong.", "Snow was falling.", "The moon was bright."]


def article(word):
    return "an" if word[0] in "aeiou" else "a"


def story(rng, hero=None):
    """One story; `hero` is an animal. The same hero, friend and thing all the way through."""
    hero = hero or rng.choice(ANIMALS)
    friend = rng.choice([a for a in ANIMALS if a != hero])
    name = rng.choice(SMALL_NAMES)
    place, thing, spot, trait = rng.choice(PLACES), rng.choice(THINGS), rng.choice(SPOTS), rng.choice(TRAITS)
    out = [f"Once upon a time, {article(trait)} {trait} {hero} named {name} lived in a {place}."]
    if rng.random() < 0.6:
        out.append(rng.choice(WEATHER))
    kind = rng.randrange(3)
    if kind == 0:
        out.append(f"One day, {name} lost {article(thing)} {thing}.")
        out.append(f"{name} was sad and asked {article(friend)} {friend} for help.")
        out.append(f"They looked all over the {place}.")
        out.append(f"At last, the {friend} found the {thing} {spot}.")
        out.append(f"{name} was very happy and said thank you.")
    elif kind == 1:
        out.append(f"One day, {name} found {article(thing)} {thing} {spot}.")
        out.append(f"It belonged to {article(friend)} {friend}.")
        out.append(f"{name} gave the {thing} back.")
        out.append(f"The {friend} smiled, and they became friends.")
    else:
        meal = rng.choice(MEALS)
        out.append(f"One day, {name} met {article(friend)} {friend} {spot}.")
        out.append(f"The {friend} was hungry.")
        out.append(f"{name} shared some {meal} with the {friend}.")
        out.append(f"They played with {article(thing)} {thing} until the evening.")
    out.append(rng.choice(["The end.", f"Then {name} went home and slept. The end."]))
    return " ".join(out)


def story_ok(text, hero=None):
    """Does a text have the form of the grammar's stories, with its hero kept?"""
    import re
    m = re.match(r"Once upon a time, an? (\w+) (\w+) named (\w+) lived in a (\w+)\.", text)
    if not m or not text.endswith("The end.") or (hero and m[2] != hero):
        return False
    if m[1] not in TRAITS or m[2] not in ANIMALS or m[3] not in SMALL_NAMES or m[4] not in PLACES:
        return False
    used = [n for n in SMALL_NAMES if re.search(rf"\b{n}\b", text)]
    beasts = {a for a in ANIMALS if re.search(rf"\b{a}\b", text)}
    things = [t for t in THINGS if t in text]
    return used == [m[3]] and len(beasts) == 2 and len(things) == 1 and 5 <= text.count(".") <= 9
