"""Records what a running llama.cpp server answers greedily: `record.py http://127.0.0.1:8082 test/fixtures/minnow/llama-cpp.json`."""

import json
import sys
import urllib.request

CHATS = [
    "What is the capital of Japan?",
    "What is 47 + 38?",
    "Spell window.",
    "hello",
    "Which element has the symbol Fe?",
    "Where is Peru?",
    "Tell me a story about a fox.",
    "Count from 3 to 9.",
    "Who are you?",
]
RAW = ["Once upon a time"]
MAX_TOKENS = 100


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)


def main(base: str, target: str) -> None:
    greedy = {"model": "minnow", "temperature": 0, "max_tokens": MAX_TOKENS}
    answers = []
    for content in CHATS:
        messages = [{"role": "user", "content": content}]
        choice = post(f"{base}/v1/chat/completions", greedy | {"messages": messages})["choices"][0]
        answers.append({"chat": content, "text": choice["message"]["content"], "finish": choice["finish_reason"]})
    for prompt in RAW:
        choice = post(f"{base}/v1/completions", greedy | {"prompt": prompt})["choices"][0]
        answers.append({"raw": prompt, "text": choice["text"], "finish": choice["finish_reason"]})
    with open(target, "w") as file:
        json.dump({"made_by": "tools/backends/record.py", "maxTokens": MAX_TOKENS, "answers": answers}, file, indent=2)
        file.write("\n")
    print(f"{target}: {len(answers)} answers")


if __name__ == "__main__":
    main(*sys.argv[1:])
