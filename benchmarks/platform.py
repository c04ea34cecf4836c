"""The platform under measurement: started as `make run` starts it, in its own folder, beside the scripted model."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Measured:
    """A running platform, and calls to it that are not measured."""

    url: str
    api_key: str
    workspace_id: str
    pids: dict[str, int]
    model_url: str
    environment: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def flow(self, name: str, model: str) -> str:
        """A deployed conversation chain on the scripted model; returns its id."""
        flow_data = json.dumps(conversation_chain(model, self.model_url))
        flow = self.call("POST", "/api/v1/chatflows", {"name": name, "flowData": flow_data, "isPublic": True})
        self.call("PUT", f"/api/v1/chatflows/{flow['id']}", {"deployed": True})
        return str(flow["id"])

    def fill(self, what: str, count: int, flow: str = "") -> str:
        """Bring a table up to a size, straight in the database; what `benchmarks.fill` prints."""
        start = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.fill", what, str(count), self.workspace_id, flow]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, check=True, stdout=subprocess.PIPE, text=True)
        print(f"    ({what} filled up to {count:,} in {time.perf_counter() - start:.1f} s)", file=sys.stderr)
        return done.stdout

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds so far of each process group."""
        return {role: _tree_cpu(pid) for role, pid in self.pids.items() if role not in ("supervisor", "model")}

    def memory_mb(self) -> dict[str, float]:
        """Proportional set size of web and worker."""
        return {role: _tree_memory(self.pids[role]) for role in ("web", "worker")}


def _processes(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _tree_cpu(pid: int) -> float:
    total = 0.0
    for process in _processes(pid):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _tree_memory(pid: int) -> float:
    return sum(process.memory_full_info().pss for process in _processes(pid)) / 1e6


@contextlib.contextmanager
def running() -> Iterator[Measured]:
    """Start model and platform, stop both at the end."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # thousands of viewers are thousands of sockets
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forjinn-bench-")))
        folder.chmod(0o755)
        port = free_port()
        model = subprocess.Popen([sys.executable, "-m", "benchmarks.model", str(port)], cwd=ROOT)
        stack.callback(_stop, model)
        environment = {
            **os.environ,
            "FORJINN_VAR": str(folder),
            "PORT": "0",
            "MODEL_URL": f"http://127.0.0.1:{port}/v1",
            "LOG_LEVEL": "WARNING",
            # All that is measured comes from one address.
            "RATE_PER_ADDRESS": "0",
            "STREAMS_PER_ADDRESS": "0",
        }
        log = stack.enter_context((folder / "up.out").open("wb"))
        up = subprocess.Popen([sys.executable, "manage.py", "up"], cwd=ROOT, env=environment, stdout=log, stderr=log)
        stack.callback(_stop, up)
        run = _wait_for(folder / "run.json", up, folder / "up.out")
        yield Measured(
            url=run["url"],
            api_key=run["apiKey"],
            workspace_id=run["workspaceId"],
            pids=run["pids"],
            model_url=environment["MODEL_URL"],
            environment=environment,
        )


def _wait_for(path: Path, up: subprocess.Popen[bytes], output: Path) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while not path.exists():
        if up.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the platform did not start:\n{output.read_text()}")
        time.sleep(0.1)
    return dict(json.loads(path.read_text()))


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)


def conversation_chain(model: str, model_url: str) -> dict[str, Any]:
    """Chat model, buffer memory and chain, as a canvas exports them."""

    def node(node_id: str, name: str, category: str, inputs: dict[str, Any], classes: list[str]) -> dict[str, Any]:
        data = {
            "id": node_id,
            "label": name,
            "name": name,
            "version": 1,
            "type": classes[0],
            "category": category,
            "baseClasses": classes,
            "inputs": inputs,
            "outputs": {},
        }
        return {"id": node_id, "type": "customNode", "position": {"x": 0, "y": 0}, "data": data}

    def edge(source: str, output: str, anchor: str) -> dict[str, str]:
        return {
            "id": f"{source}-{anchor}",
            "source": source,
            "target": "conversationChain_0",
            "sourceHandle": f"{source}-output-{output}",
            "targetHandle": f"conversationChain_0-input-{anchor}",
            "type": "buttonedge",
        }

    chain = {
        "model": "{{chatOpenAI_0.data.instance}}",
        "memory": "{{bufferMemory_0.data.instance}}",
        "systemMessagePrompt": "You are a helpful assistant.",
        "inputModeration": "",
        "chatPromptTemplate": "",
    }
    chat_model = {"modelName": model, "temperature": 0.9, "basepath": model_url}
    return {
        "nodes": [
            node("chatOpenAI_0", "chatOpenAI", "Chat Models", chat_model, ["ChatOpenAI", "BaseChatModel"]),
            node("bufferMemory_0", "bufferMemory", "Memory", {"sessionId": ""}, ["BufferMemory", "BaseMemory"]),
            node("conversationChain_0", "conversationChain", "Chains", chain, ["ConversationChain", "BaseChain"]),
        ],
        "edges": [
            edge("chatOpenAI_0", "chatOpenAI-ChatOpenAI|BaseChatModel", "model-BaseChatModel"),
            edge("bufferMemory_0", "bufferMemory-BufferMemory|BaseMemory", "memory-BaseMemory"),
        ],
    }
