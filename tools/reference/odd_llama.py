"""Makes tiny Llamas of awkward shape with random weights, and records what transformers computes with them.

    python tools/reference/odd_llama.py [test/fixtures]

Nothing here is trained: the models exist to test an engine. Weights come from
a fixed seed, scaled so that the best logit stands clear of the second one,
which keeps greedy decoding the same under small rounding differences.

  odd-llama          head_dim given, no size a power of two, untied head, two float32 shards
  odd-llama-rope3    rope_scaling of type llama3, float16, tied
  odd-llama-bias     attention biases, rope_parameters as newer configs write it, bfloat16, one query group
  odd-llama-stories  the shape of karpathy's stories260K, bfloat16, SentencePiece-like tokenizer with byte fallback
"""
import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "minnow"))
from record import record  # noqa: E402

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

BASE = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "bos_token_id": 0,
        "eos_token_id": 1, "attention_bias": False, "mlp_bias": False, "pretraining_tp": 1, "use_cache": True,
        "attention_dropout": 0.0, "initializer_range": 0.02}
ODD = {"hidden_size": 28, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 14,
       "intermediate_size": 53, "vocab_size": 307, "tie_word_embeddings": False, "rms_norm_eps": 1e-6,
       "max_position_embeddings": 384, "rope_theta": 5000.0, "torch_dtype": "float32"}
MODELS = {
    "odd-llama": ({**BASE, **ODD}, 2),
    "odd-llama-rope3": ({**BASE, **ODD, "num_hidden_layers": 2, "hidden_size": 42, "num_attention_heads": 6, "num_key_value_heads": 3,
                         "head_dim": 10, "tie_word_embeddings": True, "torch_dtype": "float16", "rope_theta": 500000.0,
                         "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                          "original_max_position_embeddings": 48}}, 1),
    "odd-llama-bias": ({**{k: v for k, v in {**BASE, **ODD}.items() if k != "rope_theta"}, "num_hidden_layers": 2, "hidden_size": 50,
                        "num_attention_heads": 5, "num_key_value_heads": 1, "head_dim": 10, "attention_bias": True, "torch_dtype": "bfloat16",
                        "rms_norm_eps": 1e-5, "rope_parameters": {"rope_type": "default", "rope_theta": 20000.0}}, 1),
    "odd-llama-stories": ({**BASE, "hidden_size": 64, "num_hidden_layers": 5, "num_attention_heads": 8, "num_key_value_heads": 4,
                           "intermediate_size": 172, "vocab_size": 512, "tie_word_embeddings": True, "rms_norm_eps": 1e-5,
                           "max_position_embeddings": 512, "rope_theta": 10000.0, "torch_dtype": "bfloat16",
                           "bos_token_id": 1, "eos_token_id": 2}, 1),
}
PROMPTS = ["Once upon a time", "The  quick brown fox, 42!", "naïve café ☕ 🐟", "x"]


def texts():
    import random
    from stories import story
    rng = random.Random(11)
    return [story(rng) for _ in range(3000)]


def byte_level(vocab):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(texts(), trainers.BpeTrainer(vocab_size=vocab, special_tokens=["<s>", "</s>"], show_progress=False,
                                                         initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tok.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return tok, {"bos_token": "<s>", "eos_token": "</s>"}


def sentencepiece_like(vocab):
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    learner.train_from_iterator(texts(), trainers.BpeTrainer(vocab_size=vocab, special_tokens=special, show_progress=False))
    learned = json.loads(learner.to_str())["model"]
    tok = Tokenizer(models.BPE(vocab=learned["vocab"], merges=[tuple(m) for m in learned["merges"]], unk_token="<unk>",
                               fuse_unk=True, byte_fallback=True))
    tok.add_special_tokens(special[:3])
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tok.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tok, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def fill(model, seed, dtype):
    """Weights large enough that layers matter and logits spread, rounded to the stored type."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            r = torch.randn(p.shape, generator=g)
            if name.endswith("norm.weight"):
                r = (1 + 0.2 * r) * (8 if name == "model.norm.weight" else 1)
            elif name.endswith("bias"):
                r = 0.3 * r
            elif "embed" in name or "lm_head" in name:
                r = 0.8 * r
            else:          # the branches outweigh the embedding, or a tied head would echo its input
                r = (3.0 if "o_proj" in name or "down_proj" in name else 1.4) * r * p.shape[1] ** -0.5
            p.copy_(r.to(dtype).float())


def save_weights(model, folder, dtype, shards):
    state = {k: v.to(dtype).contiguous() for k, v in sorted(model.state_dict().items())
             if not (model.config.tie_word_embeddings and k == "lm_head.weight")}
    if shards == 1:
        save_file(state, folder / "model.safetensors", {"format": "pt"})
        return
    total, parts, sizes = sum(v.nbytes for v in state.values()), [{} for _ in range(shards)], 0
    for k, v in state.items():
        parts[min(shards - 1, sizes * shards // total)][k] = v
        sizes += v.nbytes
    names = [f"model-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)]
    for name, part in zip(names, parts):
        save_file(part, folder / name, {"format": "pt"})
    index = {"metadata": {"total_size": total}, "weight_map": {k: n for n, part in zip(names, parts) for k in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def make(name, root):
    config, shards = MODELS[name]
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tok, special = (sentencepiece_like if name.endswith("stories") else byte_level)(config["vocab_size"])
    tok.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **special,
                                                              "clean_up_tokenization_spaces": False}, indent=2) + "\n")
    dtype = getattr(torch, config["torch_dtype"])
    for seed in range(1, 12):
        model = LlamaForCausalLM(AutoConfig.from_pretrained(folder)).float().eval()
        fill(model, seed, dtype)
        save_weights(model, folder, dtype, shards)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        got = record(folder, model, tokenizer, PROMPTS, [(p, 120, True) for p in PROMPTS[:2]] + [(PROMPTS[2], 40, True)], write_to=folder,
                     note={"seed": seed, "made_by": "tools/reference/odd_llama.py"})
        gap = min(g["smallest_gap"] for g in got["greedy"])
        variety = min(len(set(g["new_ids"])) for g in got["greedy"])
        if gap > 0.03 and variety >= 8:
            break
    print(name, "seed", seed, "gap", round(gap, 3), "distinct tokens", variety, "bytes", sum(f.stat().st_size for f in folder.iterdir()))


if __name__ == "__main__":
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "test/fixtures")
    torch.set_num_threads(1)
    for n in MODELS:
        make(n, out)
