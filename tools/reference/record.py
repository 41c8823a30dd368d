"""Records what transformers computes with a model: logits at every position, and greedy continuations.

`reference.json` says what lies where in `logits.bin` (float32, little-endian,
[positions, vocab] for each prompt). All arithmetic is float32 on the weights
as stored.
"""
import hashlib
import json
from pathlib import Path

import torch
import transformers

CHECKED = ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "intermediate_size",
           "vocab_size", "tie_word_embeddings", "rms_norm_eps", "max_position_embeddings", "attention_bias", "hidden_act",
           "bos_token_id", "eos_token_id"]


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@torch.no_grad()
def greedy(model, ids, count, limit):
    """Greedy continuation without stopping at EOS, and the smallest lead of the best logit."""
    out, new, gap, past = torch.tensor([ids]), [], float("inf"), None
    for _ in range(min(count, limit - len(ids))):
        r = model(out, past_key_values=past, use_cache=True)
        past = r.past_key_values
        top = r.logits[0, -1].topk(2).values
        gap = min(gap, float(top[0] - top[1]))
        new.append(int(r.logits[0, -1].argmax()))
        out = torch.tensor([[new[-1]]])
    return new, gap


@torch.no_grad()
def record(folder, model, tokenizer, prompts, continuations, write_to, note=None):
    """`continuations` are (prompt text, new tokens, add special tokens)."""
    folder, write_to = Path(folder), Path(write_to)
    write_to.mkdir(parents=True, exist_ok=True)
    blob, rows = bytearray(), []
    for p in prompts:
        p, special = p if isinstance(p, tuple) else (p, True)
        ids = tokenizer.encode(p, add_special_tokens=special)
        logits = model(torch.tensor([ids])).logits[0].float().contiguous()
        rows.append({"text": p, "add_special_tokens": special, "ids": ids, "shape": list(logits.shape), "offset": len(blob)})
        blob += logits.numpy().astype("<f4").tobytes()
    runs = []
    for text, count, special in continuations:
        ids = tokenizer.encode(text, add_special_tokens=special)
        new, gap = greedy(model, ids, count, model.config.max_position_embeddings)
        runs.append({"prompt": text, "add_special_tokens": special, "prompt_ids": ids, "new_ids": new,
                     "text": tokenizer.decode(new, skip_special_tokens=False),
                     "full_text": tokenizer.decode(ids + new, skip_special_tokens=True), "smallest_gap": round(gap, 5)})
    result = {**(note or {}), "transformers": transformers.__version__, "arithmetic": "float32 on the stored weights",
              "sha256": {f.name: sha256(f) for f in sorted(folder.glob("*.safetensors"))},
              "config": {k: getattr(model.config, k, None) for k in CHECKED},
              "logits": {"file": "logits.bin", "dtype": "float32", "order": "little-endian, [position, vocab]", "prompts": rows},
              "greedy": runs}
    (write_to / "logits.bin").write_bytes(bytes(blob))
    (write_to / "reference.json").write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return result
