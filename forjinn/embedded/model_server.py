"""The model's process: `python -m forjinn.embedded.model_server WEIGHTS PORT`."""

from __future__ import annotations

import signal
import sys

import xllamacpp

NAME = "smollm2-135m-instruct"  # as the demo flows call it
CONTEXT = 8192  # tokens, what the model was trained for; its two visitors at a time share them
VISITORS = 2
MAX_ANSWER = 1024  # tokens, where a caller gives no limit: so small a model may talk without end
CACHE_MIB = 64  # of earlier prompts; the library's own default is 8 GiB


def serve(weights: str, port: int) -> None:
    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.model_alias = {NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = CONTEXT
    params.n_parallel = VISITORS
    params.kv_unified = True
    params.n_predict = MAX_ANSWER
    params.cache_ram_mib = CACHE_MIB
    params.ui = False
    server = xllamacpp.Server(params)  # serves in threads of its own for as long as it is referenced
    print(f"serving at {server.listening_address}", flush=True)  # noqa: T201
    signal.pause()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
