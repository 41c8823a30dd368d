"""What a template is rendered with: conversations as clients send them, and the variables of transformers.

No number here is a whole float (1.0): JSON as JavaScript reads it does not keep it apart from 1.
"""

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a place – now.\nWith \"quotes\" & <tags>.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "A city, e.g. Zürich"},
                "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
                "days": {"type": ["integer", "null"], "minimum": 1, "maximum": 0.5},
            },
            "required": ["city"],
        },
    },
}
SEARCH = {"type": "function", "function": {"name": "search", "description": "", "parameters": {"type": "object", "properties": {}}}}

USER = {"role": "user", "content": "What is 1 < 2 & 'three'?\n"}
ASSISTANT = {"role": "assistant", "content": "  Yes: 日本 😀 é.  "}
SYSTEM = {"role": "system", "content": " You are terse.\n\nReally. "}


def call(name, arguments, id="call_1"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def chat(*messages, tools=None, documents=None, add_generation_prompt=True, **more):
    return {
        "messages": list(messages),
        "tools": tools,
        "documents": documents,
        "add_generation_prompt": add_generation_prompt,
        "bos_token": "<s>",
        "eos_token": "</s>",
        **more,
    }


CONTEXTS = {
    "one": chat(USER),
    "turns": chat(SYSTEM, USER, ASSISTANT, {"role": "user", "content": "And 3?", "name": "ann"}, add_generation_prompt=False),
    "continued": chat(USER, ASSISTANT, USER, enable_thinking=False, reasoning_effort="low"),
    "empty": chat({"role": "user", "content": ""}, enable_thinking=True),
    "nobody": {"messages": [], "tools": [], "documents": [], "add_generation_prompt": True},
    "none content": chat(USER, {"role": "assistant", "content": None, "tool_calls": [call("search", "{\"q\": \"x\"}")]}),
    "parts": chat(
        {"role": "system", "content": [{"type": "text", "text": "Look."}]},
        {"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "image"}, {"type": "text", "text": " this? "}]},
    ),
    "tools": chat(
        SYSTEM,
        USER,
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "\nI should look.\n",
            "tool_calls": [call("get_weather", {"city": "Zürich", "days": 3, "deep": {"a": [1, None, True, 2.5, "x\ty"]}}),
                           call("search", {}, "call_2")],
        },
        {"role": "tool", "name": "get_weather", "tool_call_id": "call_1", "content": "{\"t\": 21.5}"},
        {"role": "tool", "name": "search", "tool_call_id": "call_2", "content": "nothing"},
        {"role": "assistant", "content": "<think>\nHm.\n</think>\n\n21.5 °C"},
        {"role": "user", "content": "Thanks"},
        tools=[WEATHER, SEARCH],
        documents=[{"title": "A", "text": "alpha"}, {"title": "B", "text": "beta\nbeta"}],
    ),
    "roles": chat({"role": "developer", "content": "d"}, {"role": "function", "content": "f"}, {"role": "User", "content": "U\r\nV"}),
    "values": {
        "i": 7, "z": 0, "n": -3, "f": 2.5, "tiny": 1e-7, "huge": 1e22, "third": 1 / 3, "yes": True, "no": False, "nil": None,
        "s": "Hello, World", "t": "  pad\tded \n", "u": "Straße 日本 😀 e\u0301", "e": "", "csv": "a,b,,c", "num": "42", "dec": " 3.14 ",
        "html": "<a href=\"x\">T & 'C'</a>", "lines": "one\r\ntwo\n\nthree\rfour\x0bfive\u2028six", "spec": "\x00\x1b\x7f\x85\u00a0\ufeff",
        "l": [3, 1, 2], "words": ["pear", "Apple", "fig", "apple"], "mixed": [1, "a", None, 2.5, [1, 2], {"k": "v"}, True], "none": [],
        "d": {"b": 1, "A": [1, 2], "c": None, "items": "shadow", "_p": "private"}, "empty": {},
        "people": [
            {"name": "Bo", "age": 30, "at": {"city": "Ulm"}}, {"name": "al", "age": 25, "at": {"city": "Bonn"}},
            {"name": "Cy", "age": 30, "at": {"city": "ulm"}}, {"name": "Di", "at": {}},
        ],
        "nested": {"x": {"y": {"z": [10, 20, {"w": "deep"}]}}}, "matrix": [[1, 2], [3, 4], [5, 6]], "pairs": [["k", 1], ["v", 2]],
        "true": "shadowed", "loop": "outer",
    },
}
