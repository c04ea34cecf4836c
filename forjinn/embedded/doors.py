"""The port that the platform serves on, opened before anything else is started."""

from __future__ import annotations

import errno
import http.client
import json
import socket

from forjinn.embedded.problems import StartError

BACKLOG = 2048
KNOCK_S = 0.3
READY_S = 5.0


def open_listener(port: int) -> socket.socket:
    """Listen on loopback; 0 takes any free port. Raises StartError when the port cannot be had."""
    if not 0 <= port <= 65535:
        raise StartError(f"PORT: expected 0 to 65535, got {port}")
    # Some systems let two servers have one port, where one serves every address and the other only this one.
    if port and _answers(port):
        raise _taken(port)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        # At once: until somebody listens, a second one could take the port as well.
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        if exc.errno == errno.EADDRINUSE:
            raise _taken(port) from exc
        raise StartError(f"Port {port} cannot be used: {exc.strerror}. Choose another: PORT=3001, or PORT=0") from exc
    return listener


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def what_is_missing(port: int) -> str:
    """Asks /ready; empty when everything is there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_S)
    try:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
        states = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException):
        return "the web process does not answer"
    finally:
        connection.close()
    if answer.status == 200:
        return ""
    return ", ".join(f"{part}: {state}" for part, state in states.items() if part != "status" and state != "ok")


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), KNOCK_S).close()
    except OSError:
        return False
    return True


def _taken(port: int) -> StartError:
    return StartError(f"Port {port} is taken by another program. Choose another: PORT=3001, or PORT=0 for any free one")
