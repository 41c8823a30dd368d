"""Trains minnow from scratch on a CPU.

    python train.py --out RUN_DIR --tokenizer DIR --minutes 80

Master weights are float32, the matrix products run in bfloat16. The learning
rate stays level and then falls linearly to zero over the last third; the
plan is made in wall-clock time, so a slower machine makes fewer steps.
"""
import argparse
import json
import os
import random
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")     # a thread that waits must not burn a shared core

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from generate import eval_set, train_stream
from model import Config, Minnow

USER_WEIGHT = 0.1      # how much the words of the user and the system count in the loss


class Packer:
    """Packs documents end to end into windows of a given length."""

    def __init__(self, tok, seed, banned, mixture):
        self.tok, self.stream = tok, train_stream(seed, banned, mixture)
        self.ids, self.weights, self.documents = np.zeros(0, np.int64), np.zeros(0, np.float32), 0

    def fill(self, need):
        while len(self.ids) < need:
            docs = [next(self.stream)[0] for _ in range(4000)]
            self.documents += len(docs)
            # Special tokens cut the text, so the pieces may be encoded apart.
            flat = [p for d in docs for p in d]
            enc = self.tok.encode_batch_fast([t for t, _ in flat], add_special_tokens=False)
            self.ids = np.concatenate([self.ids] + [np.asarray(e.ids, np.int64) for e in enc])
            self.weights = np.concatenate([self.weights] + [
                np.full(len(e.ids), 1.0 if c else USER_WEIGHT, np.float32) for e, (_, c) in zip(enc, flat)])

    def batch(self, rows, length):
        n = rows * length
        self.fill(n + 1)
        x = torch.from_numpy(self.ids[:n].reshape(rows, length))
        y = torch.from_numpy(self.ids[1:n + 1].reshape(rows, length))
        w = torch.from_numpy(self.weights[1:n + 1].reshape(rows, length))
        self.ids, self.weights = self.ids[n:], self.weights[n:]
        return x, y, w


class Threads:
    """One thread or two, whichever lately made the quicker steps: on a busy machine two wait for each other."""

    def __init__(self):
        self.best, self.times, self.mark = 1, {1: [], 2: []}, None

    def choose(self, step):
        now, turn = time.time(), step % 40
        if self.mark and turn in (2, 3, 4, 6, 7, 8):
            self.times[1 if turn < 5 else 2].append(now - self.mark)
        self.mark = now
        if turn == 8:
            self.best = min(self.times, key=lambda n: sum(self.times[n]))
            self.times = {1: [], 2: []}
        torch.set_num_threads(1 if turn < 4 else 2 if turn < 8 else self.best)


def orthogonal(g):
    """Newton-Schulz iteration of Muon, for a stack of matrices."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16()
    flip = x.size(-2) > x.size(-1)
    x = x.mT if flip else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        s = torch.bmm(x, x.mT)
        s = torch.baddbmm(s, s, s, beta=b, alpha=c)
        x = torch.baddbmm(x, s, x, beta=a)
    return (x.mT if flip else x).float()


class Muon:
    def __init__(self, params, momentum=0.95, decay=0.1):
        self.params, self.momentum, self.decay = params, momentum, decay
        self.buffers = [torch.zeros_like(p) for p in params]

    @torch.no_grad()
    def step(self, lr):
        for p, m in zip(self.params, self.buffers):
            m.lerp_(p.grad, 1 - self.momentum)
            update = orthogonal(p.grad.lerp(m, self.momentum))
            p.mul_(1 - lr * self.decay)
            p.add_(update, alpha=-lr * max(1, p.size(-2) / p.size(-1)) ** 0.5)


@torch.no_grad()
def quick_check(model, tok, topics, per_topic=6):
    """Share of held-out questions answered right, by feeding the right answer and comparing the greedy choices."""
    rows = [(topic, *item) for topic, items in topics.items() for item in items[:per_topic] if topic != "stories"]
    right = {}
    seqs = []
    for topic, system, turns in rows:
        text = "<|bos|>" + (f"<|system|>{system}<|end|>" if system else "")
        for t in turns[:-1]:
            text += f"<|user|>{t.user}<|end|><|assistant|>{t.answer}<|end|>"
        a = tok.encode(text + f"<|user|>{turns[-1].user}<|end|><|assistant|>", add_special_tokens=False).ids
        b = tok.encode(turns[-1].answer + "<|end|>", add_special_tokens=False).ids
        seqs.append((topic, a, b))
    seqs.sort(key=lambda s: len(s[1]) + len(s[2]))
    for i in range(0, len(seqs), 16):
        part = seqs[i:i + 16]
        width = max(len(a) + len(b) for _, a, b in part)
        ids = torch.zeros(len(part), width, dtype=torch.long)
        for r, (_, a, b) in enumerate(part):
            ids[r, :len(a) + len(b)] = torch.tensor(a + b)
        best = model(ids[:, :512]).argmax(-1)
        for r, (topic, a, b) in enumerate(part):
            ok = len(a) + len(b) <= 512 and best[r, len(a) - 1:len(a) + len(b) - 1].tolist() == b
            right.setdefault(topic, []).append(ok)
    return {k: sum(v) / len(v) for k, v in sorted(right.items())}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", required=True)
    ap.add_argument("--tokenizer", required=True)
    ap.add_argument("--minutes", type=float, default=80)
    ap.add_argument("--until", help="HH:MM instead of --minutes: end at this time of day, compiling counted in")
    ap.add_argument("--tokens", type=int, default=4096, help="per step")
    ap.add_argument("--lr", type=float, default=0.02, help="of the matrices (Muon)")
    ap.add_argument("--adam-lr", type=float, default=0.003)
    ap.add_argument("--decay", type=float, default=0.35, help="share of the time in which the rate falls")
    ap.add_argument("--long", type=float, default=0.12, help="share of the time, at the end, on windows of 512")
    ap.add_argument("--long-every", type=int, default=0, help="before that, every so many steps on windows of 512")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--mixture", default="even")
    ap.add_argument("--resume", help="a checkpoint to start from, read after compiling; the optimizer starts afresh")
    ap.add_argument("--every", type=float, default=300, help="seconds between checks")
    a = ap.parse_args()

    random.seed(a.seed)
    torch.manual_seed(a.seed)
    torch._inductor.config.cpp.dynamic_threads = True
    threads = Threads()
    out = Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    tok = Tokenizer.from_file(f"{a.tokenizer}/tokenizer.json")
    topics, banned = eval_set()
    data = Packer(tok, a.seed, banned, a.mixture)
    model = Minnow(Config(vocab_size=tok.get_vocab_size()))
    print(sum(p.numel() for p in model.parameters()), "parameters", flush=True)
    muon = Muon(model.matrices())
    adam = torch.optim.AdamW([
        {"params": [model.embed], "weight_decay": 0.01},
        {"params": model.vectors(), "weight_decay": 0.0}], lr=a.adam_lr, betas=(0.9, 0.95))

    def loss_of(x, y, w):
        loss = F.cross_entropy(model(x).float().flatten(0, 1), y.flatten(), reduction="none")
        return (loss * w.flatten()).sum() / w.sum()

    fast = torch.compile(loss_of, dynamic=False)
    log = open(out / "log.jsonl", "a")
    for length in (256, 512):            # compiling does not count
        x = torch.zeros(a.tokens // length, length, dtype=torch.long)
        with torch.autocast("cpu", torch.bfloat16):
            fast(x, x, torch.ones(x.shape)).backward()
        print("compiled for windows of", length, flush=True)
    for p in model.parameters():
        p.grad = None
    if a.resume:
        model.load_state_dict(torch.load(a.resume))
    if a.until:
        now = time.localtime()
        hour, minute = map(int, a.until.split(":"))
        a.minutes = (hour * 60 + minute - now.tm_hour * 60 - now.tm_min) % 1440
    start, last, step, tokens, smooth = time.time(), 0.0, 0, 0, None

    def save(name):
        torch.save(model.state_dict(), out / (name + ".tmp"))
        (out / (name + ".tmp")).rename(out / name)

    while True:
        now = time.time() - start
        threads.choose(step)
        part = now / (a.minutes * 60)
        if part >= 1:
            break
        length = 512 if part > 1 - a.long or (a.long_every and step % a.long_every == 0) else 256
        x, y, w = data.batch(a.tokens // length, length)
        rate = min(1.0, (step + 1) / 60, max(0.0, (1 - part) / a.decay))
        with torch.autocast("cpu", torch.bfloat16):
            loss = fast(x, y, w)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([model.embed] + model.vectors(), 1.0)
        for g in adam.param_groups:
            g["lr"] = a.adam_lr * rate
        adam.step()
        muon.step(a.lr * rate)
        for p in model.parameters():
            p.grad = None
        step, tokens = step + 1, tokens + x.numel()
        value = loss.item()
        smooth = value if smooth is None else 0.98 * smooth + 0.02 * value
        if step % 20 == 0:
            now = time.time() - start
            print(f"step {step} {now:.0f}s {tokens / 1e6:.2f}M tokens {tokens / max(now, 1):.0f}/s loss {smooth:.4f} rate {rate:.3f} threads {threads.best}", flush=True)
        if time.time() - start - last > a.every:
            last = time.time() - start
            with torch.autocast("cpu", torch.bfloat16):
                right = quick_check(model, tok, topics)
            save("last.pt")
            row = {"step": step, "seconds": round(last), "tokens": tokens, "documents": data.documents, "loss": round(smooth, 4), "right": right}
            log.write(json.dumps(row) + "\n")
            log.flush()
            print(f"--- check took {time.time() - start - last:.0f}s, mean {sum(right.values()) / len(right):.3f}", {k: round(v, 2) for k, v in right.items()}, flush=True)
    save("final.pt")
    row = {"step": step, "seconds": round(time.time() - start), "tokens": tokens, "documents": data.documents, "loss": round(smooth, 4), "final": True}
    log.write(json.dumps(row) + "\n")
    print("done", row, flush=True)


if __name__ == "__main__":
    main()
