"""Runs llama.cpp's own HTTP server over one GGUF file until it is stopped: `serve_llama_cpp.py minnow.gguf --port 8082`.

The server is the C++ one, built into the wheels of https://pypi.org/project/xllamacpp; any `llama-server` binary does as well.
Prints its address once it answers.
"""

import argparse
import signal
from pathlib import Path

import xllamacpp

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("model", type=Path)
parser.add_argument("--port", type=int, default=8082)
parser.add_argument("--alias", default=None, help="the model's name in the API; default: the file's")
parser.add_argument("--context", type=int, default=512)
parser.add_argument("--parallel", type=int, default=4)
arguments = parser.parse_args()

params = xllamacpp.CommonParams()
params.model.path = str(arguments.model)
params.model_alias = {arguments.alias or arguments.model.stem}
params.hostnames = ["127.0.0.1"]
params.port = arguments.port
params.n_ctx = arguments.context * arguments.parallel
params.n_parallel = arguments.parallel
params.cpuparams.n_threads = 1
params.use_jinja = True
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
signal.sigwait({signal.SIGINT, signal.SIGTERM})
