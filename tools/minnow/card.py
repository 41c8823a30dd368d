"""Writes the model card from the measured figures, so that no number is copied by hand.

    python card.py models/minnow EVAL.json TRAIN_LOG.jsonl [TRAIN_LOG.jsonl ...]
"""
import hashlib
import json
import sys
from pathlib import Path

HELD = {"phrasing": "whole wording never trained", "combination": "this wording never trained with this fact",
        "pair": "pair of numbers never trained", "name": "made-up name never trained"}


def percent(r, n):
    return f"{100 * r / n:.1f} %"


def main(folder, evaluation, logs):
    folder = Path(folder)
    ev = json.loads(Path(evaluation).read_text())
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert digest == ev["sha256"], "the evaluation was made on other weights"
    runs = [json.loads(Path(p).read_text().splitlines()[-1]) for p in logs]
    assert runs[-1].get("final")
    size = (folder / "model.safetensors").stat().st_size
    tokens, minutes = sum(r["tokens"] for r in runs), sum(r["seconds"] for r in runs) / 60
    topics = "\n".join(f"| {k} | {r} of {n} | {percent(r, n)} |" for k, (r, n) in ev["topics"].items())
    held = "\n".join(f"| {HELD.get(k, k)} | {r} of {n} | {percent(r, n)} |" for k, (r, n) in ev["held"].items())
    average = sum(r / n for r, n in ev["topics"].values()) / len(ev["topics"])
    text = TEMPLATE.format(size=f"{size / 1e6:.1f}", tokens=f"{tokens / 1e6:.1f}", minutes=f"{minutes:.0f}", steps=sum(r["step"] for r in runs),
                           wide=f"{sum(r['tokens'] for r in runs[:-2]) / 1e6:.1f}",
                           topics=topics, held=held, right=ev["right"], prompts=ev["prompts"], all=percent(ev["right"], ev["prompts"]),
                           average=f"{100 * average:.1f} %", digest=digest)
    (folder / "README.md").write_text(text)


TEMPLATE = """---
language: en
license: apache-2.0
pipeline_tag: text-generation
---
# minnow

minnow is a demo model. It exists to show Shoal's mesh of browser tabs with
weights small enough to load at once, and it is **not a useful assistant**: it
knows the little world listed below and nothing else.

| | |
| --- | --- |
| architecture | LlamaForCausalLM, 8 layers, hidden 256, 8 query heads over 4 key/value heads of 32, MLP 640, tied embeddings |
| parameters | 6.03 million |
| weights | float16, {size} MB |
| tokenizer | byte-level BPE, 2048 tokens, every digit its own token |
| context | 512 tokens |
| training | from scratch, {tokens} million tokens ({steps} steps), {minutes} minutes on two CPU cores that other work shared |
| training text | written entirely by `tools/minnow/generate.py`; no text and no weights from elsewhere |

## What it was taught

Capitals and continents of 196 countries, addition and subtraction of numbers
from 0 to 99 (results of subtraction not below 0), the opposites of {opposites}
words, colours of {colours} things, days and months, {elements} chemical
symbols, spelling and the number of letters of {words} words, counting (at most
eight numbers, starting below 40), small talk, what it is itself, short stories
from a grammar, and chats that refer back ("And its continent?", "Now add 5.",
"What did I ask first?"). To other questions it was taught to answer that it
does not know.

The first {wide} million tokens came from a wider world (all 118 elements, 240
words, countries by their capital, yes-or-no questions). The rest of training,
and the figures below, keep to the world above; what is left of the wider one
is not measured.

Conventions: Monday is the first day of the week; February has 28 days; a
country on two continents counts to the one most commonly named (Russia and
Cyprus to Europe, Turkey and Georgia to Asia, Egypt to Africa); names are
written without accents.

## How well it answers

Measured on the float16 weights in this folder (arithmetic in float32), greedy,
on {prompts} prompts that training never saw. An answer counts as right only
when it equals the expected one to the letter; a story when it has the
grammar's form and keeps its hero.

| topic | right | |
| --- | --- | --- |
{topics}
| **all prompts** | **{right} of {prompts}** | **{all}** |
| mean over topics | | {average} |

| why the prompt is new | right | |
| --- | --- | --- |
{held}

What counts as new is decided by a hash (`tools/minnow/split.py`), and
`check_split.py` goes through the whole training stream again to show that no
such prompt is in it. Scores on a few prompts of each topic were watched during
training and decided what the last run saw more of. The prompts come from the same generator as the training
text, so these figures say how well minnow handles its own little world, not
how well it handles people.

## What falls short

- Wordings far from the generator's often get a wrong answer, or an answer to
  another question, given with the same confidence.
- The continents lost above are all of one wording it never met, "Continent of
  ...?", which it takes for a question outside its world.
- "I don't know" is a taught sentence, not insight. Real places, words and
  elements outside the lists may still get a made-up answer.
- Sums beyond 99, negative results, multiplication and division are not known.
- Only the listed words are spelled; others come out wrong.
- Beyond a few turns, and near the end of the 512 tokens, it gets less sure.
- English only.

## Chat format

The template writes `<|bos|>` itself, then for each message its role token, the
content as it is, and `<|end|>`. Tokenize its output without adding special
tokens. Raw text gets its `<|bos|>` from the tokenizer.

```
<|bos|><|user|>What is the capital of Japan?<|end|><|assistant|>The capital of Japan is Tokyo.<|end|>
```

Decode greedily or at a low temperature, and stop at `<|end|>`.

sha256 of `model.safetensors`: `{digest}`
"""
if __name__ == "__main__":
    from world import FEW_COLOURS, FEW_ELEMENTS, FEW_OPPOSITES, FEW_WORDS
    for slot, n in (("words", len(FEW_WORDS)), ("elements", len(FEW_ELEMENTS)), ("colours", len(FEW_COLOURS)), ("opposites", 2 * len(FEW_OPPOSITES))):
        TEMPLATE = TEMPLATE.replace("{" + slot + "}", str(n))
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
