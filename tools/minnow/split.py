"""What is held out of training, decided by a hash alone.

A prompt is held out in one of three ways: its whole phrasing (template) is
never used in training, or this phrasing is used but never with this fact, or
(for sums and counting) the pair of numbers is never used in any phrasing.
"""
import hashlib
import re


def bucket(*parts):
    """0..99, the same on every machine and in every run."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:4], "big") % 100


def phrasing_held(template):
    return bucket("phrasing", template) < 10


def combo_held(template, fact):
    return bucket("combo", template, fact) < 8


def pair_held(op, a, b):
    if op == "+":
        a, b = min(a, b), max(a, b)
    return bucket("pair", op, a, b) < 10


def name_held(name):
    """Made-up names that only the evaluation uses."""
    return bucket("name", name.lower()) < 10


def normal(text):
    """Two prompts that differ only in case or punctuation count as the same prompt."""
    return " ".join(re.findall(r"[a-z0-9+\-]+", text.lower()))
