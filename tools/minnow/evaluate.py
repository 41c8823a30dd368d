"""Answers every held-out prompt greedily with the exported weights and counts what is right.

    python evaluate.py models/minnow OUT.json

An answer is right when it equals the expected one to the letter; a story is
right when it has the form of the grammar and keeps its hero. Weights are the
stored float16 ones, arithmetic is float32, through transformers.
"""
import hashlib
import json
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from generate import eval_set
from stories import story_ok

@torch.no_grad()
def would_say(model, prompts, expected):
    """Is the greedy answer the expected one? It is just when every token of the expected answer, fed along with the
    prompt, is the best choice after those before it; so one pass per prompt tells, without generating."""
    out = [False] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]) + len(expected[i]))
    for start in range(0, len(order), 32):
        part = order[start:start + 32]
        rows = [prompts[i] + expected[i] for i in part]
        ids = torch.zeros(len(part), max(map(len, rows)), dtype=torch.long)       # filled up behind, where nothing looks
        for r, row in enumerate(rows):
            ids[r, :len(row)] = torch.tensor(row)
        best = model(ids).logits.argmax(-1)
        for r, i in enumerate(part):
            out[i] = best[r, len(prompts[i]) - 1:len(rows[r]) - 1].tolist() == expected[i]
    return out


FIXED = [("What is the capital of Japan?", "The capital of Japan is Tokyo.")]


@torch.no_grad()
def answers(model, prompts, stop, most=140):
    """Greedy answers (token ids). Prompts of one length go together, so nothing is padded."""
    groups, out = defaultdict(list), [None] * len(prompts)
    for i, p in enumerate(prompts):
        groups[len(p)].append(i)
    for _, members in sorted(groups.items()):
        for start in range(0, len(members), 64):
            part = members[start:start + 64]
            ids, past, new = torch.tensor([prompts[i] for i in part]), None, []
            alive = torch.ones(len(part), dtype=torch.bool)
            for _ in range(min(most, 512 - ids.shape[1])):
                r = model(ids if past is None else new[-1][:, None], past_key_values=past, use_cache=True)
                past = r.past_key_values
                new.append(r.logits[:, -1].argmax(-1))
                alive &= new[-1] != stop
                if not alive.any():
                    break
            rows = torch.stack(new, 1).tolist()
            for i, row in zip(part, rows):
                out[i] = row[:row.index(stop)] if stop in row else row + [-1]
    return out


def messages(system, turns):
    m = [{"role": "system", "content": system}] if system else []
    for t in turns[:-1]:
        m += [{"role": "user", "content": t.user}, {"role": "assistant", "content": t.answer}]
    return m + [{"role": "user", "content": turns[-1].user}]


def main(folder, out):
    start = time.time()
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tok = AutoTokenizer.from_pretrained(folder)
    topics, _ = eval_set()
    rows = [(topic, s, ts) for topic, items in sorted(topics.items()) for s, ts in items]
    encode = lambda m: tok.apply_chat_template(m, add_generation_prompt=True, return_dict=True)["input_ids"]
    prompts = [encode(messages(s, ts)) for _, s, ts in rows]
    fixed = [encode([{"role": "user", "content": q}]) for q, _ in FIXED]
    expected = [tok.encode(ts[-1].answer, add_special_tokens=False) + [1] for _, _, ts in rows] + [
        tok.encode(a, add_special_tokens=False) + [1] for _, a in FIXED]
    exact = would_say(model, prompts + fixed, expected)
    stories = [i for i, (topic, _, _) in enumerate(rows) if topic == "stories"]
    others = [i for i, ok in enumerate(exact) if not ok and i not in set(stories)]
    said = [ts[-1].answer for _, _, ts in rows] + [a for _, a in FIXED]
    print(len(others), "wrong beside stories", flush=True)
    for which, most in ((stories, 140), (others, 40)):      # stories, and what is said instead
        for i, a in zip(which, answers(model, [(prompts + fixed)[i] for i in which], 1, most)):
            said[i] = tok.decode([t for t in a if t >= 0]) + ("" if -1 not in a else " (no end)")
    right, total, held, held_total, wrong = Counter(), Counter(), Counter(), Counter(), []
    for (topic, s, ts), answer in zip(rows, said):
        last = ts[-1]
        ok = story_ok(answer, last.info["hero"]) if topic == "stories" else answer == last.answer
        kind = last.held or "other"
        total[topic] += 1
        held_total[kind] += 1
        right[topic] += ok
        held[kind] += ok
        if not ok:
            wrong.append({"topic": topic, "held": kind, "asked": [t.user for t in ts], "said": answer, "expected": last.answer})
    for (q, a), answer in zip(FIXED, said[len(rows):]):
        print(q, "->", answer)
        if a != answer:
            wrong.append({"topic": "fixed", "held": "", "asked": [q], "said": answer, "expected": a})
    result = {"sha256": hashlib.sha256((Path(folder) / "model.safetensors").read_bytes()).hexdigest(),
              "transformers": transformers.__version__, "seconds": round(time.time() - start),
              "right": sum(right.values()), "prompts": sum(total.values()),
              "topics": {k: [right[k], total[k]] for k in sorted(total)},
              "held": {k: [held[k], held_total[k]] for k in sorted(held_total)}, "wrong": wrong}
    Path(out).write_text(json.dumps(result, indent=1) + "\n")
    for k in sorted(total):
        print(f"{k:26} {right[k]:4}/{total[k]:<4} {100 * right[k] / total[k]:5.1f} %")
    for k in sorted(held_total):
        print(f"  held by {k:18} {held[k]:4}/{held_total[k]:<4} {100 * held[k] / held_total[k]:5.1f} %")
    print(f"all {result['right']}/{result['prompts']} = {100 * result['right'] / result['prompts']:.2f} %, {result['seconds']} s")


if __name__ == "__main__":
    main(*sys.argv[1:3])
