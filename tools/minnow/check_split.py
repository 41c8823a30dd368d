"""Proves that no evaluation prompt stands in the text minnow was trained on.

    python check_split.py SEED:DOCUMENTS[:MIXTURE] ...

Makes the training stream again (same seed, at least as many documents as the
trainer drew; nothing filtered out) and looks through all of it: no eval prompt
among its user turns, case and punctuation put aside, and no held-out pair of
numbers worked out anywhere.
"""
import re
import sys

from generate import eval_set, train_stream, windows
from split import pair_held

SUM = re.compile(r"(?<!\d)(\d{1,2}) ([+-]) (\d{1,2}) = ")


def main(parts):
    topics, keys = eval_set()
    print(sum(len(v) for v in topics.values()), "eval prompts")
    for part in parts:
        seed, documents, mixture = (part.split(":") + ["even"])[:3]
        documents = int(documents)
        stream = train_stream(int(seed), set(), mixture)
        met = sums = turns_seen = 0
        for _ in range(documents):
            pieces, turns = next(stream)
            turns_seen += len(turns)
            here = keys & windows(turns)
            met += len(here)
            for k in here:
                print("in training:", repr(k))
            for a, op, b in SUM.findall("".join(t for t, c in pieces if c)):
                sums += 1
                met += pair_held(op, int(a), int(b))
        print(f"seed {seed}: {documents} documents, {turns_seen} turns, {sums} sums looked through; {met} held-out found")
        if met:
            sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
