"""Writes test/fixtures/tokenizers: small tokenizers of every kind that Llama-family models use, and what the original library
(huggingface/tokenizers) makes of texts and ids with them. Reproducible: python test/model/text/make_tokenizer_reference.py

Needs: pip install tokenizers (written with 0.23.3)
"""
import json
import random
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = Path(__file__).parent.parent.parent / "fixtures" / "tokenizers"
CORPUS = [
    "The quick brown fox jumps over the lazy dog. It's 42 o'clock, and we're late!",
    "What is the capital of Japan? The capital of Japan is Tokyo.",
    "naïve café, Zürich, smörgåsbord; Straße — “quotes” … ☕",
    "def main(argc, argv):\n    return 0\n\n\tprint('hello')  # comment",
    "Πόσο κοστίζει; Сколько это стоит? 日本語のテキスト。",
] * 20
TEXTS = [
    "", " ", "  ", "\n", " \n ", "\t\tx", "a", " a", "a ", "  a  b  ", "Hello, world!", "Once upon a time",
    "The capital of Japan is Tokyo.", "it's we're I'LL they'Ve", "x=1234567890;y=-3.14e10", "naïve café ☕ 🐟",
    "e\u0301 é ﬁ Ⅷ ½ ²", "👩‍👩‍👧‍👦 🇯🇵 👍🏽", "日本語のテキスト。中文字符", "Привет, мир", "مرحبا بالعالم",
    "a\u00a0b\u2003c\u3000d\ufeffe", "\ufeffstart", "line\r\nbreak\rand\n\n\nmore   \n  x", "<s>", "</s>", "<s>hello</s>",
    " <s> hello </s> ", "a<s>b", "▁▁x ▁y", "<0x41><0xE2>", "<|end|> and <|end|>x", "\u0000\u0001\x7f", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "zzz" * 12, "    indented\n        more", "'s 't 're", "½ cup", "don’t", "_under_score_ camelCase", "٣٤٥ ½3² x١٢", "a\ufeff b \ufeff\ufeff!", "x\u0085y\u0085\u0085 z", "100,000.00 % $5",
]


def byte_level_parts(tok, pattern):
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()


def bos_template(token, token_id):
    return processors.TemplateProcessing(single=f"{token} $A", pair=f"{token} $A {token} $B", special_tokens=[(token, token_id)])


def train(tok, size, specials, **kwargs):
    tok.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=size, special_tokens=specials, show_progress=False, **kwargs))
    return tok


def minnow_like():
    tok = Tokenizer(models.BPE())
    byte_level_parts(tok, r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
    train(tok, 420, ["<s>", "</s>", "<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tok.post_processor = bos_template("<s>", 0)
    return tok


def llama3_like():
    tok = Tokenizer(models.BPE(ignore_merges=True))
    byte_level_parts(tok, r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    train(tok, 420, ["<s>", "</s>", "<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tok.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), bos_template("<s>", 0)])
    return tok


def qwen2_like():
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.NFC()
    byte_level_parts(tok, r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    train(tok, 420, [], initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tok.add_special_tokens(["<s>", "</s>", "<|end|>"])
    tok.add_tokens([AddedToken("<tool>", special=False, normalized=False)])
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    return tok


def gpt2_like(prefix_space):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    tok = train(tok, 420, ["<s>", "</s>", "<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tok.post_processor = bos_template("<s>", 0)
    return tok


def digits_apart(individual):
    """SmolLM and StarCoder: digits first, then GPT-2's pattern."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=individual),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tok.decoder = decoders.ByteLevel()
    return train(tok, 420, ["<s>", "</s>", "<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


def punctuation_apart():
    """Falcon: punctuation and GPT-2's pattern."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tok.decoder = decoders.ByteLevel()
    return train(tok, 420, ["<s>", "</s>", "<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


def with_byte_fallback(tok):
    """Adds the 256 byte tokens, as SentencePiece does, after training (the trainer knows nothing of them)."""
    state = json.loads(tok.to_str())
    vocab = state["model"]["vocab"]
    for byte in range(256):
        vocab.setdefault(f"<0x{byte:02X}>", len(vocab))
    state["model"].update(byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    return Tokenizer.from_str(json.dumps(state))


LLAMA_DECODERS = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]


def llama2_like():
    tok = Tokenizer(models.BPE(unk_token="<unk>"))
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="never", split=True)
    tok = train(tok, 200, ["<unk>", "<s>", "</s>", "<|end|>"], limit_alphabet=60)
    tok.pre_tokenizer = None
    tok.decoder = decoders.Sequence(LLAMA_DECODERS)
    tok.post_processor = bos_template("<s>", 1)
    return with_byte_fallback(tok)


def metaspace(scheme, split, byte_fallback):
    tok = Tokenizer(models.BPE(unk_token="<unk>"))
    tok.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme, split=split)
    tok = train(tok, 200, ["<unk>", "<s>", "</s>", "<|end|>"], limit_alphabet=60)
    tok.decoder = decoders.Sequence(LLAMA_DECODERS) if byte_fallback else decoders.Metaspace(
        replacement="▁", prepend_scheme=scheme, split=split)
    tok.post_processor = bos_template("<s>", 1)
    return with_byte_fallback(tok) if byte_fallback else tok


def word_level(pre_tokenizer):
    tok = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tok.pre_tokenizer = pre_tokenizer
    tok.train_from_iterator(CORPUS, trainers.WordLevelTrainer(special_tokens=["<unk>", "<s>", "</s>", "<|end|>"], show_progress=False))
    return tok


def no_unknown():
    """A vocabulary of a few letters, no unknown token, no fallback: the original leaves the rest out."""
    letters = list("abcdehlorstuw ▁")
    return Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))


def unigram():
    tok = Tokenizer(models.Unigram())
    tok.pre_tokenizer = pre_tokenizers.Metaspace()
    tok.decoder = decoders.Metaspace()
    tok.train_from_iterator(CORPUS, trainers.UnigramTrainer(
        vocab_size=150, unk_token="<unk>", special_tokens=["<unk>", "<s>", "</s>", "<|end|>"], show_progress=False))
    return tok


KINDS = {
    "minnow-like": minnow_like,
    "llama3-like": llama3_like,
    "qwen2-like": qwen2_like,
    "llama2-like": llama2_like,
    "metaspace-first": lambda: metaspace("first", False, True),
    "metaspace-always": lambda: metaspace("always", True, False),
    "metaspace-never": lambda: metaspace("never", True, False),
    "gpt2-like": lambda: gpt2_like(False),
    "gpt2-prefix-space": lambda: gpt2_like(True),
    "digits-apart": lambda: digits_apart(True),
    "digit-runs": lambda: digits_apart(False),
    "punctuation-apart": punctuation_apart,
    "word-level": lambda: word_level(pre_tokenizers.WhitespaceSplit()),
    "word-level-whitespace": lambda: word_level(pre_tokenizers.Whitespace()),
    "no-unknown": no_unknown,
    "unigram": unigram,
}


def reference(tok, rng):
    """Random texts of the odd pieces above, and random ids: a model writes any byte after any other."""
    texts = TEXTS + ["".join(rng.choice(TEXTS)[: rng.randint(0, 9)] for _ in range(rng.randint(1, 6))) for _ in range(60)]
    size = tok.get_vocab_size()
    byte_ids = [tok.token_to_id(f"<0x{b:02X}>") for b in range(256) if tok.token_to_id(f"<0x{b:02X}>") is not None]
    lists = [[rng.choice(byte_ids) if byte_ids and rng.random() < 0.5 else rng.randrange(size) for _ in range(rng.randint(1, 24))]
             for _ in range(120)]
    for text in TEXTS:
        ids = tok.encode(text).ids
        lists += [ids, ids[: len(ids) // 2]]
    marks = [tok.token_to_id(t) for t in ("▁", "▁▁", "▁the") if tok.token_to_id(t) is not None]
    lists += [[mark, rng.randrange(size)] for mark in marks] + [[mark, mark, mark] for mark in marks]
    return {
        "tokenizers": tokenizers.__version__,
        "encoded": [[t, tok.encode(t).ids, tok.encode(t, add_special_tokens=False).ids] for t in texts],
        "decoded": [[ids, tok.decode(ids), tok.decode(ids, skip_special_tokens=False)] for ids in lists],
    }


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for name, make in KINDS.items():
        tok = make()
        both = {"tokenizer": json.loads(tok.to_str()), "reference": reference(tok, random.Random(7))}
        (OUT / f"{name}.json").write_text(json.dumps(both, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        print(name, tok.get_vocab_size(), (OUT / f"{name}.json").stat().st_size)
