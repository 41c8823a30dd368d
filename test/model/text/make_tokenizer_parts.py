"""Writes test/fixtures/tokenizer-parts: what the original library (huggingface/tokenizers) does with generated texts in every
normalizer, pre-tokenizer, decoder, post-processor and model that a tokenizer.json can name, with every behaviour, alone and in
sequences, and with added tokens of every flag. Reproducible: python test/model/text/make_tokenizer_parts.py

Needs: pip install tokenizers (written with 0.23.3)
"""
import itertools
import json
import random
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers

OUT = Path(__file__).parent.parent.parent / "fixtures" / "tokenizer-parts"
PIECES = [
    "a", "b", "ab", "Hello", "world", "ÀÉ", "e\u0301", "ﬁ", "ΣΑΣ", "ß", "İ", "ǅ", "1", "42", "٣", "½", "²", "Ⅷ", "-", "--", ".", "…", "—", "。",
    "«", "_", "$", "+", "'s", " ", " ", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u0085", "\ufeff", "\u200b", "\u200d", "\u0001", "\u007f",
    "日本", "ひカー", "中", "\u4dc0", "한", "🐟", "👩‍👧", "🇯🇵", "▁", "▁▁", "<m>", "<m", "</w>", "##", "$&", "x", "<0x41>", "\u0300", "\ufffd",
]
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
PATTERNS = [
    {"String": "-"}, {"String": "--"}, {"String": " "}, {"String": "."}, {"String": "ab"}, {"String": "$&"}, {"String": "(?x"}, {"Regex": r"\s+"}, {"Regex": r"\d"}, {"Regex": r"\p{N}{1,3}"},
    {"Regex": r"[-.]"}, {"Regex": r"\w+"}, {"Regex": r"a*"}, {"Regex": r"(?i:'s|hello)"}, {"Regex": r"\s+(?!\S)"}, {"Regex": r"[^\r\n\p{L}\p{N}]?\p{L}+"},
    {"Regex": r"'s|'t| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"},
]


def text(rng, longest=9):
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(0, longest)))


def texts(seed, count):
    rng = random.Random(seed)
    return [text(rng) for _ in range(count)]


def normalizer_configs():
    plain = ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel"]
    single = [{"type": name} for name in plain]
    single += [{"type": "Strip", "strip_left": left, "strip_right": right} for left in (True, False) for right in (True, False)]
    single += [{"type": "Prepend", "prepend": p} for p in ("▁", "", "$&")]
    single += [{"type": "Replace", "pattern": pattern, "content": content} for pattern in PATTERNS for content in ("", "▁", "$&x")]
    single += [{"type": "BertNormalizer", "clean_text": c, "handle_chinese_chars": h, "strip_accents": s, "lowercase": l}
               for c in (True, False) for h in (True, False) for s in (True, False, None) for l in (True, False)]
    rng = random.Random(11)
    some = [n for n in single if n["type"] != "BertNormalizer"]
    return single + [{"type": "Sequence", "normalizers": rng.sample(some, rng.randint(0, 3))} for _ in range(25)]


def pre_tokenizer_configs():
    single = [{"type": name} for name in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")]
    single += [{"type": "Punctuation", "behavior": b} for b in BEHAVIORS]
    single += [{"type": "Digits", "individual_digits": d} for d in (True, False)]
    single += [{"type": "CharDelimiterSplit", "delimiter": d} for d in ("-", " ", "日", "🐟")]
    single += [{"type": "FixedLength", "length": n} for n in (1, 2, 5)]
    single += [{"type": "ByteLevel", "add_prefix_space": p, "trim_offsets": True, "use_regex": r} for p in (True, False) for r in (True, False)]
    single += [{"type": "Metaspace", "replacement": r, "prepend_scheme": s, "split": split} for r in ("▁", "_") for s in ("always", "first", "never") for split in (True, False)]
    splits = [{"type": "Split", "pattern": p, "behavior": b, "invert": i} for p in PATTERNS for b in BEHAVIORS for i in (True, False)]
    rng = random.Random(12)
    both = single + splits
    return both + [{"type": "Sequence", "pretokenizers": rng.sample(both, rng.randint(0, 3))} for _ in range(60)]


def decoder_configs():
    single = [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    single += [{"type": "Metaspace", "replacement": r, "prepend_scheme": s, "split": True} for r in ("▁", "_") for s in ("always", "first", "never")]
    single += [{"type": "BPEDecoder", "suffix": s} for s in ("</w>", "b")]
    single += [{"type": "Strip", "content": c, "start": start, "stop": stop} for c in (" ", "a") for start in (0, 1, 2) for stop in (0, 1)]
    single += [{"type": "Replace", "pattern": p, "content": c} for p in PATTERNS for c in ("", " ", "$&x")]
    rng = random.Random(13)
    single += [{"type": "Sequence", "decoders": [{"type": "Fuse"}, single[0]]}]
    return single + [{"type": "Sequence", "decoders": rng.sample(single, rng.randint(0, 4))} for _ in range(60)]


def answers(inputs, ask):
    """[input, *answers] of each; without those at which the original panics, as it does at some (Strip of a short token)."""
    found = []
    for one in inputs:
        try:
            found.append([one, *ask(one)])
        except BaseException:  # pyo3's PanicException is no Exception.
            continue
    return found


def write(name, cases, **shared):
    OUT.mkdir(parents=True, exist_ok=True)
    file = OUT / f"{name}.json"
    lines = ",\n".join(json.dumps(case, ensure_ascii=True, separators=(",", ":")) for case in cases)
    head = json.dumps({"tokenizers": tokenizers.__version__, **shared}, separators=(",", ":"))
    file.write_text(f'{head[:-1]},"cases":[\n{lines}\n]}}\n', encoding="utf-8")
    print(name, len(cases), file.stat().st_size)


def tokenizer(**parts):
    empty = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
             "post_processor": None, "decoder": None, "model": {"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"}}
    return {**empty, **parts}


def loaded(**parts):
    return Tokenizer.from_str(json.dumps(tokenizer(**parts)))


def normalized():
    for seed, config in enumerate(normalizer_configs()):
        part = loaded(normalizer=config).normalizer
        yield {"config": config, "texts": answers(texts(seed, 6), lambda t: [part.normalize_str(t)])}


def pre_tokenized():
    for seed, config in enumerate(pre_tokenizer_configs()):
        part = loaded(pre_tokenizer=config).pre_tokenizer
        yield {"config": config, "texts": answers(texts(seed, 5), lambda t: [[piece for piece, _ in part.pre_tokenize_str(t)]])}


def decoded():
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    for seed, config in enumerate(decoder_configs()):
        rng = random.Random(seed)
        part = loaded(decoder=config).decoder
        lists = [[rng.choice([rng.choice(PIECES), f"<0x{rng.randrange(256):02X}>", "".join(rng.sample(sorted(alphabet), 3)), text(rng, 3)]) for _ in range(rng.randint(0, 8))] for _ in range(6)]
        yield {"config": config, "texts": answers(lists, lambda words: [part.decode(words)])}


WORDS = list(dict.fromkeys(["?"] + sorted(pre_tokenizers.ByteLevel.alphabet()) + sorted({c for piece in PIECES for c in piece})))
CONTENTS = ["<m>", "<m", "m>", "ab", "a", "<<m>>", " x", "x ", "É", "Hello", "ﬁ", "Hello world", "▁", "--", "日本"]


def added_token(rng, content, number):
    flag = lambda chance: rng.random() < chance
    return {"id": number, "content": content, "single_word": flag(0.3), "lstrip": flag(0.3), "rstrip": flag(0.3), "normalized": flag(0.5), "special": flag(0.3)}


def with_added_tokens():
    """Whole tokenizers: characters as words, so that what is left between added tokens shows as it is."""
    changes = [None, {"type": "Lowercase"}, {"type": "NFKC"}, {"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "Prepend", "prepend": "▁"},
               {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}]
    splits = [None, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
              {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]
    for seed in range(160):
        rng = random.Random(seed)
        vocab = {c: i for i, c in enumerate(WORDS)}
        contents = rng.sample(CONTENTS, rng.randint(1, 5))
        parts = {
            "normalizer": rng.choice(changes), "pre_tokenizer": rng.choice(splits),
            "model": {"type": "BPE", "vocab": vocab, "merges": [], "unk_token": "?", "dropout": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False},
        }
        base = len(vocab)
        added = [added_token(rng, content, base + n) for n, content in enumerate(contents)]
        for token in added:  # Words of the vocabulary keep its ids.
            token["id"] = vocab.get(token["content"], token["id"])
        whole = loaded(**parts, added_tokens=added)
        id_of = {token["content"]: whole.token_to_id(token["content"]) for token in added}
        for token in added:
            token["id"] = id_of[token["content"]]
        words = PIECES + contents * 6 + [f" {c} " for c in contents] * 3
        samples = ["".join(rng.choice(words) for _ in range(rng.randint(0, 8))) for _ in range(6)]
        yield {"added_tokens": added, "normalizer": parts["normalizer"], "pre_tokenizer": parts["pre_tokenizer"],
               "texts": answers(samples, lambda t: [whole.encode(t).ids])}


def bpe_models():
    letters = list("abcd") + ["é", "日"]
    for seed in range(120):
        rng = random.Random(seed)
        suffix = rng.choice([None, None, None, "</w>"])
        prefix = rng.choice([None, None, None, "##"])
        known = rng.sample(letters, rng.randint(3, len(letters)))
        words = known + ([f"{c}{suffix}" for c in known] if suffix else []) + ([f"{prefix}{c}" for c in known] if prefix else [])
        if suffix and prefix:
            words += [f"{prefix}{c}{suffix}" for c in known]
        merges = []
        for _ in range(rng.randint(0, 14)):
            left, right = rng.choice(words), rng.choice(words)
            if prefix and not right.startswith(prefix) or suffix and left.endswith(suffix):
                continue
            merged = left + (right[len(prefix):] if prefix else right)
            if (left, right) not in merges:
                merges.append((left, right))
                if merged not in words:
                    words.append(merged)
        words += ["?"] + ([f"<0x{b:02X}>" for b in range(256)] if rng.random() < 0.3 else [])
        unknown = rng.choice([None, "?"])
        model = {"type": "BPE", "dropout": None, "unk_token": unknown, "continuing_subword_prefix": prefix, "end_of_word_suffix": suffix, "fuse_unk": rng.random() < 0.5,
                 "byte_fallback": len(words) > 256, "ignore_merges": rng.random() < 0.3, "vocab": {w: i for i, w in enumerate(words)},
                 "merges": [list(m) for m in merges] if rng.random() < 0.5 else [" ".join(m) for m in merges]}
        pre = rng.choice([None, {"type": "WhitespaceSplit"}])
        whole = loaded(model=model, pre_tokenizer=pre)
        samples = ["".join(rng.choice(letters + ["z", " ", "🐟", "ab", "abc"]) for _ in range(rng.randint(0, 12))) for _ in range(6)]
        # The 256 byte tokens come last, so a reader can put them back.
        plain = {**model, "vocab": {w: i for w, i in model["vocab"].items() if not w.startswith("<0x")}}
        yield {"model": plain, "pre_tokenizer": pre, "texts": answers(samples, lambda t: [whole.encode(t).ids])}


def post_processors():
    words = {"?": 0, "<s>": 1, "</s>": 2, "<x>": 3, "a": 4, "b": 5}
    model = {"type": "WordLevel", "vocab": words, "unk_token": "?"}
    special = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    first = {"Sequence": {"id": "A", "type_id": 0}}
    known = {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}, "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}, "both": {"id": "both", "ids": [1, 3], "tokens": ["<s>", "<x>"]}}
    pair = [first, {"Sequence": {"id": "B", "type_id": 1}}]
    singles = [[special("<s>"), first], [first, special("</s>")], [special("both"), first, special("</s>")], [first], [special("<s>"), special("<s>"), first]]
    single = [{"type": "TemplateProcessing", "single": s, "pair": pair, "special_tokens": known} for s in singles]
    single += [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": t, "use_regex": True} for t in (True, False)]
    single += [{"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1]}, {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": True, "add_prefix_space": False}]
    # Two that add something: the original takes the second's text for a pair, or panics.
    sequences = [{"type": "Sequence", "processors": list(two)} for two in itertools.permutations(single, 2) if any(p["type"] == "ByteLevel" for p in two)]
    for config in single + sequences:
        whole = loaded(model=model, post_processor=config, pre_tokenizer={"type": "WhitespaceSplit"})
        yield {"config": config, "texts": [[t, whole.encode(t).ids, whole.encode(t, add_special_tokens=False).ids] for t in ("", "a", "a b q")]}


if __name__ == "__main__":
    write("normalizers", list(normalized()))
    write("pre-tokenizers", list(pre_tokenized()))
    write("decoders", list(decoded()))
    write("added-tokens", list(with_added_tokens()), words=WORDS)
    write("bpe", list(bpe_models()))
    write("post-processors", list(post_processors()))
