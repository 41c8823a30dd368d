"""Writes a checkpoint in Hugging Face layout, weights rounded to float16.

    python export.py CHECKPOINT TOKENIZER_DIR models/minnow
"""
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from model import Config, Minnow


def config_json(cfg):
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            **cfg.dict(), "rope_scaling": None, "attention_bias": False, "mlp_bias": False, "attention_dropout": 0.0,
            "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 5,
            "initializer_range": 0.02, "pretraining_tp": 1, "use_cache": True, "torch_dtype": "float16"}


def export(checkpoint, tokenizer, out):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    state = torch.load(checkpoint)
    cfg = Config(vocab_size=state["embed"].shape[0])
    model = Minnow(cfg)
    model.load_state_dict(state)
    weights = {k: v.to(torch.float16).contiguous() for k, v in model.to_hf().items()}
    assert all(torch.isfinite(v).all() for v in weights.values())
    save_file(weights, out / "model.safetensors", {"format": "pt"})
    (out / "model.safetensors").chmod(0o644)
    (out / "config.json").write_text(json.dumps(config_json(cfg), indent=2) + "\n")
    (out / "generation_config.json").write_text(json.dumps({
        "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 5, "do_sample": False}, indent=2) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if Path(tokenizer).resolve() != out.resolve():
            shutil.copyfile(Path(tokenizer) / name, out / name)
    return model, out


if __name__ == "__main__":
    model, out = export(*sys.argv[1:4])
    # The exported files must give what the trained network gives.
    from transformers import AutoModelForCausalLM, AutoTokenizer
    hf = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    tok = AutoTokenizer.from_pretrained(out)
    ids = tok.apply_chat_template([{"role": "user", "content": "What is the capital of Japan?"}], add_generation_prompt=True, return_dict=True,
                                  return_tensors="pt")["input_ids"]
    with torch.no_grad():
        a, b = hf(ids).logits, model(ids)
    print("largest logit difference to the float32 master:", float((a - b).abs().max()), "of", float(b.abs().max()))
    print(sum(p.numel() for p in hf.parameters()), "parameters;", (out / "model.safetensors").stat().st_size, "bytes")
    done = hf.generate(ids, max_new_tokens=40, do_sample=False, attention_mask=torch.ones_like(ids))
    print(tok.decode(done[0]))
