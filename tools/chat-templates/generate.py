"""Records what Python's jinja2, set up as transformers sets it up, makes of many chat templates.

    python tools/chat-templates/generate.py [test/fixtures/chat-templates.json.gz [SEED]]

Needs `pip install transformers jinja2` (no torch). The templates are made here, from a fixed seed: expressions over every operator,
filter, test and method with right and wrong arguments, tags with every whitespace control, and whole templates built like those of
known models (dialects.py). Each case is [template, name of its variables, text], where a text of null says that jinja2 raises, at load
or while rendering, or prints something that differs from run to run (the address of an object).
"""
import gzip
import json
import random
import signal
import sys
from datetime import datetime
from pathlib import Path
from unittest import mock

import jinja2
import transformers
from transformers.utils import chat_template_utils

sys.path.insert(0, str(Path(__file__).resolve().parent))
from contexts import CONTEXTS  # noqa: E402
from dialects import DIALECTS  # noqa: E402
from expressions import expressions  # noqa: E402
from statements import statements  # noqa: E402
from whitespace import whitespace  # noqa: E402

NOW = datetime(2024, 7, 4, 9, 5, 3)
SECONDS = 3


class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def too_long(*_):
    raise TimeoutError


def render(template, variables):
    """The text; None where jinja2 raises."""
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    try:
        with mock.patch.object(chat_template_utils, "datetime", Clock):
            text = chat_template_utils._compile_jinja_template(template).render(**json.loads(json.dumps(variables)))
        text.encode("utf-8")
        return text
    except TimeoutError:
        raise
    except Exception:
        return None
    finally:
        signal.alarm(0)


def repeatable(text):
    return text is None or (" at 0x" not in text and " object at " not in text)


def main(path="test/fixtures/chat-templates.json.gz", seed=20240704):
    rng = random.Random(int(seed))
    wanted = [*expressions(rng), *statements(rng), *whitespace(rng)]
    wanted += [(template, name) for template in DIALECTS for name in CONTEXTS]
    cases, seen = [], set()
    for template, name in wanted:
        if (template, name) in seen:
            continue
        seen.add((template, name))
        try:
            text = render(template, CONTEXTS[name])
        except TimeoutError:
            continue
        if text is not None and len(text) > 20_000:
            continue
        cases.append([template, name, text if repeatable(text) else None])
    fixture = {
        "transformers": transformers.__version__,
        "jinja2": jinja2.__version__,
        "python": sys.version.split()[0],
        "now": list(NOW.timetuple()[:6]),
        "contexts": CONTEXTS,
        "cases": cases,
    }
    text = json.dumps(fixture, ensure_ascii=False, separators=(",", ":"))
    Path(path).write_bytes(gzip.compress(text.encode("utf-8", "surrogatepass"), 9, mtime=0))
    raised = sum(case[2] is None for case in cases)
    print(f"{len(cases)} cases, {raised} of them raise; {Path(path).stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
