#!/usr/bin/env bash
# Fuzzes the HTTP API by its own description with schemathesis (https://schemathesis.io), which is installed into
# a virtual environment beside the caches.
#
#   tools/fuzz-api.sh                      a server with a scripted engine, started and stopped here
#   tools/fuzz-api.sh http://localhost:3000    a running server (SHOAL_FUZZ_VOCAB=4096 for its vocabulary)
#   EXAMPLES=500 tools/fuzz-api.sh         cases for each operation; default 200
#   TIMEOUT=60 PHASES=fuzzing …            seconds for an answer, for a real model; without the thousand cases of `coverage`
set -euo pipefail
cd "$(dirname "$0")/.."

venv="${SHOAL_FUZZ_VENV:-node_modules/.cache/schemathesis}"
if [ ! -x "$venv/bin/schemathesis" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet 'schemathesis==4.32.5'
fi

url="${1:-}"
if [ -z "$url" ]; then
  ready="$(mktemp)"
  node --import tsx tools/fuzz-api/server.ts >"$ready" &
  server=$!
  trap 'kill "$server" 2>/dev/null || true; rm -f "$ready"' EXIT
  for _ in $(seq 100); do
    url="$(head -n 1 "$ready")"
    if [ -n "$url" ]; then break; fi
    if ! kill -0 "$server" 2>/dev/null; then echo 'the server did not start' >&2; exit 1; fi
    sleep 0.2
  done
fi

root="$PWD"
venv="$(cd "$venv" && pwd)"
status=0
# It leaves notes of its failures where it runs.
cd "$(mktemp -d)"
SHOAL_FUZZ_URL="$url" PYTHONPATH="$root/tools/fuzz-api" PYTHONDONTWRITEBYTECODE=1 SCHEMATHESIS_HOOKS=hooks \
  "$venv/bin/schemathesis" --config-file "$root/tools/fuzz-api/schemathesis.toml" run "$url/openapi.json" \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
  --phases "${PHASES:-examples,coverage,fuzzing}" --max-examples "${EXAMPLES:-200}" --seed "${SEED:-1}" \
  --request-timeout "${TIMEOUT:-10}" --max-response-time "${TIMEOUT:-10}" --continue-on-failure \
  --generation-database none --no-color || status=$?
# What fuzzing leaves behind must not keep the server from answering.
curl --silent --fail --max-time 5 "$url/health/live" >/dev/null || { echo 'the server does not answer any more' >&2; status=1; }
exit "$status"
