"""Most requests name the model that is served, and ids that it has: the others end at the first check."""

import json
import os
import random
import urllib.request

import schemathesis

BASE = os.environ["SHOAL_FUZZ_URL"]
VOCAB = int(os.environ.get("SHOAL_FUZZ_VOCAB", "261"))
with urllib.request.urlopen(f"{BASE}/v1/models", timeout=10) as answer:
    MODEL = json.load(answer)["data"][0]["id"]


def small_ids(prompt):
    if isinstance(prompt, list):
        return [small_ids(part) for part in prompt]
    return prompt % VOCAB if isinstance(prompt, int) and not isinstance(prompt, bool) else prompt


@schemathesis.hook
def map_body(context, body):
    if not isinstance(body, dict):
        return body
    chance = random.Random(repr(body))
    if chance.random() < 0.95 and isinstance(body.get("model"), str):
        body["model"] = MODEL
    if chance.random() < 0.8 and "prompt" in body:
        body["prompt"] = small_ids(body["prompt"])
    if chance.random() < 0.8 and isinstance(body.get("logit_bias"), dict):
        body["logit_bias"] = {
            str(int(key) % VOCAB) if key.isdigit() else key: bias
            for key, bias in body["logit_bias"].items()
        }
    return body
