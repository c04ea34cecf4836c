"""Asks one address again and again, from a process of its own: a probe on the load driver's loop would time the driver.

    python -m benchmarks.probe URL SECONDS

Prints the slowest answer in milliseconds.
"""

from __future__ import annotations

import http.client
import sys
import time
from urllib.parse import urlsplit

PAUSE_S = 0.005  # it is to watch the burst, not to be a part of it


def slowest_ms(url: str, seconds: float) -> float:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    end = time.perf_counter() + seconds
    slowest = 0.0
    while (start := time.perf_counter()) < end:
        connection.request("GET", parts.path)
        connection.getresponse().read()
        slowest = max(slowest, time.perf_counter() - start)
        time.sleep(PAUSE_S)
    return slowest * 1000


if __name__ == "__main__":
    print(slowest_ms(sys.argv[1], float(sys.argv[2])))
