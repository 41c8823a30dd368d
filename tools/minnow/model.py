"""The network: a plain Llama, written so that training on a CPU is quick.

The weights of all layers are kept stacked ([layers, out, in]) because the
optimizer then orthogonalises every layer's matrix in one batched product.
`to_hf` gives them back under the names that transformers expects.
"""
from dataclasses import dataclass, asdict

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    vocab_size: int = 2048
    hidden_size: int = 256
    num_hidden_layers: int = 8
    num_attention_heads: int = 8
    num_key_value_heads: int = 4
    head_dim: int = 32
    intermediate_size: int = 640
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 512

    def dict(self):
        return asdict(self)


def rope_tables(cfg, length):
    """cos and sin, [length, head_dim/2], in the half-split (Llama) layout."""
    half = cfg.head_dim // 2
    freq = cfg.rope_theta ** (-torch.arange(half, dtype=torch.float32) / half)
    angle = torch.arange(length, dtype=torch.float32)[:, None] * freq[None]
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Minnow(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        n, d = cfg.num_hidden_layers, cfg.hidden_size
        q, kv = cfg.num_attention_heads * cfg.head_dim, cfg.num_key_value_heads * cfg.head_dim

        def matrix(out, inn, std):
            return nn.Parameter(torch.randn(n, out, inn) * std)

        std = d ** -0.5
        self.embed = nn.Parameter(torch.randn(cfg.vocab_size, d) * 0.02)
        self.wq, self.wk, self.wv = matrix(q, d, std), matrix(kv, d, std), matrix(kv, d, std)
        self.wo = matrix(d, q, 0.2 * std)
        self.gate = matrix(cfg.intermediate_size, d, std)
        self.up = matrix(cfg.intermediate_size, d, std)
        self.down = matrix(d, cfg.intermediate_size, 0.2 * cfg.intermediate_size ** -0.5)
        self.norm1, self.norm2 = nn.Parameter(torch.ones(n, d)), nn.Parameter(torch.ones(n, d))
        self.norm = nn.Parameter(torch.ones(d))
        cos, sin = rope_tables(cfg, cfg.max_position_embeddings)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def hidden(self, ids):
        c = self.cfg
        b, t = ids.shape
        cos, sin = self.cos[:t], self.sin[:t]
        x = F.embedding(ids, self.embed)
        shape = lambda v, heads: v.view(b, t, heads, c.head_dim).transpose(1, 2)
        qn, kn = c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim
        group = c.num_attention_heads // c.num_key_value_heads
        norm = lambda v, w: F.rms_norm(v, (c.hidden_size,), w, c.rms_norm_eps)
        wqkv = torch.cat((self.wq, self.wk, self.wv), dim=1)
        wgu = torch.cat((self.gate, self.up), dim=1)
        for i in range(c.num_hidden_layers):
            q, k, v = F.linear(norm(x, self.norm1[i]), wqkv[i]).split((qn, kn, kn), dim=-1)
            q, k, v = rotate(shape(q, c.num_attention_heads), cos, sin), rotate(shape(k, c.num_key_value_heads), cos, sin), shape(v, c.num_key_value_heads)
            k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
            a = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, is_causal=True)
            x = x + F.linear(a.transpose(1, 2).reshape(b, t, qn), self.wo[i])
            g, u = F.linear(norm(x, self.norm2[i]), wgu[i]).chunk(2, dim=-1)
            x = x + F.linear(F.silu(g) * u, self.down[i])
        return norm(x, self.norm)

    def forward(self, ids):
        return F.linear(self.hidden(ids), self.embed)

    def matrices(self):
        return [self.wq, self.wk, self.wv, self.wo, self.gate, self.up, self.down]

    def vectors(self):
        return [self.norm1, self.norm2, self.norm]

    def to_hf(self):
        out = {"model.embed_tokens.weight": self.embed, "model.norm.weight": self.norm}
        names = {"self_attn.q_proj": self.wq, "self_attn.k_proj": self.wk, "self_attn.v_proj": self.wv,
                 "self_attn.o_proj": self.wo, "mlp.gate_proj": self.gate, "mlp.up_proj": self.up,
                 "mlp.down_proj": self.down, "input_layernorm": self.norm1, "post_attention_layernorm": self.norm2}
        for i in range(self.cfg.num_hidden_layers):
            for name, w in names.items():
                out[f"model.layers.{i}.{name}.weight"] = w[i]
        return {k: v.detach().contiguous() for k, v in out.items()}
