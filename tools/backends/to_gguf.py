"""Writes a Llama directory in Hugging Face layout as one GGUF file, for llama.cpp: `to_gguf.py models/minnow minnow.gguf`.

Covers what the models of this repository are: LlamaForCausalLM without biases or RoPE scaling, a byte-level BPE tokenizer,
F16/F32 safetensors. Norms are written as F32 and matrices as F16, as llama.cpp's own converter does with --outtype f16.
Names and meanings of the keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import argparse
import json
import sys
from pathlib import Path

import gguf
import numpy as np

# llama.cpp knows pre-tokenizers by name only. GPT-2's regex differs from minnow's in keeping runs of digits together; with no
# merge that joins two digits (checked below) the same ids come out.
PRE_TOKENIZER = "gpt-2"

LAYER_TENSORS = {
    "input_layernorm": gguf.MODEL_TENSOR.ATTN_NORM,
    "self_attn.q_proj": gguf.MODEL_TENSOR.ATTN_Q,
    "self_attn.k_proj": gguf.MODEL_TENSOR.ATTN_K,
    "self_attn.v_proj": gguf.MODEL_TENSOR.ATTN_V,
    "self_attn.o_proj": gguf.MODEL_TENSOR.ATTN_OUT,
    "post_attention_layernorm": gguf.MODEL_TENSOR.FFN_NORM,
    "mlp.gate_proj": gguf.MODEL_TENSOR.FFN_GATE,
    "mlp.up_proj": gguf.MODEL_TENSOR.FFN_UP,
    "mlp.down_proj": gguf.MODEL_TENSOR.FFN_DOWN,
}


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of one file: 8 bytes of header length, a JSON header, then the data."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    dtypes = {"F16": np.float16, "F32": np.float32}
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(raw[start:end], dtypes[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def interleave(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of q and k from Hugging Face's halves to llama.cpp's pairs (its RoPE turns neighbouring rows)."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_tokenizer(writer: gguf.GGUFWriter, directory: Path, config: dict) -> None:
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    model = tokenizer["model"]
    if model["type"] != "BPE":
        sys.exit(f"{directory}/tokenizer.json is {model['type']}; only byte-level BPE is converted")
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    if any(sum(c.isdigit() for c in merge) > 1 for merge in merges):
        sys.exit("a merge joins two digits: the pre-tokenizer gpt-2 would give other ids")
    specials = {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    words = {index: word for word, index in model["vocab"].items()} | specials
    types = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER)
    writer.add_token_list([words[index] for index in range(config["vocab_size"])])
    writer.add_token_types(
        [types.CONTROL if index in specials else types.NORMAL for index in range(config["vocab_size"])]
    )
    writer.add_token_merges(merges)
    settings = json.loads((directory / "tokenizer_config.json").read_text())
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(settings.get("add_bos_token", False))
    writer.add_add_eos_token(settings.get("add_eos_token", False))
    if "chat_template" in settings:
        writer.add_chat_template(settings["chat_template"])


def convert(directory: Path, target: Path) -> None:
    config = json.loads((directory / "config.json").read_text())
    if config["architectures"] != ["LlamaForCausalLM"] or config.get("rope_scaling"):
        sys.exit(f"{directory} is {config['architectures']} or scales RoPE; only plain LlamaForCausalLM is converted")
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    architecture = gguf.MODEL_ARCH.LLAMA
    names = gguf.MODEL_TENSOR

    writer = gguf.GGUFWriter(target, gguf.MODEL_ARCH_NAMES[architecture])
    writer.add_name(directory.name)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    write_tokenizer(writer, directory, config)

    tensors = read_safetensors(directory / "model.safetensors")

    def add(name: str, kind: gguf.MODEL_TENSOR, layer: int | None = None) -> None:
        weight = tensors.pop(f"{name}.weight")
        if kind == names.ATTN_Q:
            weight = interleave(weight, heads)
        if kind == names.ATTN_K:
            weight = interleave(weight, kv_heads)
        target_name = f"{gguf.TENSOR_NAMES[kind].format(bid=layer)}.weight"
        writer.add_tensor(target_name, weight.astype(np.float32 if weight.ndim == 1 else np.float16))

    add("model.embed_tokens", names.TOKEN_EMBD)
    for layer in range(config["num_hidden_layers"]):
        for name, kind in LAYER_TENSORS.items():
            add(f"model.layers.{layer}.{name}", kind, layer)
    add("model.norm", names.OUTPUT_NORM)
    # With tied embeddings llama.cpp takes the embedding where there is no output matrix.
    if "lm_head.weight" in tensors:
        add("lm_head", names.OUTPUT)
    if tensors:
        sys.exit(f"these tensors have no place in a plain Llama: {', '.join(tensors)}")

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    convert(arguments.directory, arguments.target)
    print(f"{arguments.target}: {arguments.target.stat().st_size} bytes")
