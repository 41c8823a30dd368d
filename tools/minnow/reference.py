"""Records the fixtures that tie Shoal's engine and tokenizer to transformers.

    python tools/minnow/reference.py models/minnow test/fixtures/minnow
"""
import hashlib
import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "reference"))
from record import record  # noqa: E402

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

# (text, add special tokens): raw text gets its BOS from the post-processor, rendered chats bring their own.
chat = lambda *turns: ("<|bos|>" + "".join(f"<|user|>{u}<|end|><|assistant|>" + (f"{a}<|end|>" if a else "") for u, a in turns), False)
PROMPTS = [
    chat(("What is the capital of Japan?", None)),
    chat(("What is 47 + 38?", None)),
    chat(("Spell window.", None)),
    chat(("hello", None)),
    chat(("Which element has the symbol Fe?", None)),
    chat(("Where is Peru?", "Peru is in South America."), ("And its capital?", None)),
    ("<|bos|><|system|>You are minnow.<|end|><|user|>Who are you?<|end|><|assistant|>", False),
    ("Once upon a time, a small fox named", True),
    ("12 + 30 = 42. 7 + 8 =", True),
    ("Zürich 🐟 42%", True),
]
CONTINUATIONS = [
    (*PROMPTS[0][:1], 240, False),
    (chat(("Tell me a story about a fox.", None))[0], 240, False),
    ("Once upon a time", 240, True),
    ("12 + 30 = 42. 7 + 8 =", 240, True),
    (chat(("Count from 3 to 9.", None))[0], 240, False),
]
STRINGS = [
    "", " ", "  ", "   a", "a   ", "a  b", "\n", "\n\n", "a\nb", "a \n b", "\t", "a\tb\t\tc", "\r\n", "a\u00a0b", "\u3000x",
    "Hello, world!", "hello", " hello", "HELLO", "What is the capital of Japan?", "The capital of Japan is Tokyo.",
    "it's we're I've I'm you'll he'd don't", "'s'S'LL 're", "cat: c a t.", "well-known", "a_b__c", "foo(bar)[baz]{qux}", "C:\\path\\x", "...?!?!",
    "0", "7", "42", "007", "1234567890", " 12 345", "3.14159", "47 + 38 = 85.", "1,000,000", "x2y3", "½ ² ③ ٣", "१२३",
    "é", "e\u0301", "naïve café", "Zürich", "Ångström", "straße", "Привет, мир", "日本の首都は東京です", "한국어", "العربية", "עברית", "ไทย",
    "🐟", "🐟🐠🐡", "👩‍👩‍👧‍👦", "🇯🇵", "👍🏽", "a🙂b", "\u200b", "\ufeff", "\ufffd", "a\u0000b", "\u007f", "𝔘𝔫𝔦", "ﬁ",
    "<|bos|>", "<|end|>", "<|user|>hi<|end|>", "a<|assistant|>b", "<|bos", "|end|>", "< |end| >", "<|END|>", "<|unknown|>", "<|end|><|end|>", " <|end|> ",
    "<s></s>", "{{ bos_token }}", "{% if %}", "#", "Ġ", "Ċ", "aĠb", "supercalifragilisticexpialidocious", "a" * 40, "ab" * 20 + " " * 9 + "!",
]
CHATS = [
    ([{"role": "user", "content": "What is the capital of Japan?"}], True),
    ([{"role": "user", "content": "Hi!"}, {"role": "assistant", "content": "Hello! I am minnow. How can I help?"},
      {"role": "user", "content": "And its continent?"}], True),
    ([{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": "What is 2 + 2?"}], True),
    ([{"role": "user", "content": "  spaces kept  \n"}, {"role": "assistant", "content": ""}], False),
    ([{"role": "tool", "content": "another role counts as the user"}, {"role": "user", "content": "a<|end|>b"}], True),
    ([{"role": "system", "content": "日本 🐟"}, {"role": "user", "content": "1"}, {"role": "assistant", "content": "2"},
      {"role": "user", "content": "3"}, {"role": "assistant", "content": "4"}], False),
    ([{"role": "user", "content": ""}], True),
]


def tokenizer_fixture(folder, tok):
    strings = []
    for s in STRINGS:
        ids = tok.encode(s, add_special_tokens=False)
        strings.append({"text": s, "ids": ids, "ids_with_bos": tok.encode(s), "decoded": tok.decode(ids, skip_special_tokens=False),
                        "decoded_without_specials": tok.decode(ids, skip_special_tokens=True)})
    chats = []
    for messages, generate in CHATS:
        text = tok.apply_chat_template(messages, add_generation_prompt=generate, tokenize=False)
        ids = tok.apply_chat_template(messages, add_generation_prompt=generate, return_dict=True)["input_ids"]
        assert ids == tok.encode(text, add_special_tokens=False)
        chats.append({"messages": messages, "add_generation_prompt": generate, "text": text, "ids": ids})
    return {"transformers": transformers.__version__, "tokenizer_sha256": hashlib.sha256((Path(folder) / "tokenizer.json").read_bytes()).hexdigest(),
            "made_by": "tools/minnow/reference.py", "strings": strings, "chats": chats}


def main(folder, out):
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tok = AutoTokenizer.from_pretrained(folder)
    got = record(folder, model, tok, PROMPTS, CONTINUATIONS, out, {"made_by": "tools/minnow/reference.py"})
    fixture = tokenizer_fixture(folder, tok)
    (Path(out) / "tokenizer.json").write_text(json.dumps(fixture, ensure_ascii=False, indent=1) + "\n")
    for g in got["greedy"]:
        print(len(g["new_ids"]), "tokens, smallest gap", g["smallest_gap"], repr(g["text"][:90]))
    print(sum(len(p["ids"]) for p in got["logits"]["prompts"]), "positions,", len(fixture["strings"]), "strings,", len(fixture["chats"]), "chats")


if __name__ == "__main__":
    main(*sys.argv[1:3])
