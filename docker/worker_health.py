"""Is this container's worker alive: succeeds while its lease in PostgreSQL is beaten (predictions/leases.py)."""

import os
import socket
import sys
from pathlib import Path

import psycopg

FRESH = "SELECT 1 FROM predictions_workerlease WHERE name LIKE %s AND beat_at > now() - interval '10 seconds'"

url = Path(os.environ["DATABASE_URL_FILE"]).read_text().strip()
with psycopg.connect(url, connect_timeout=3) as connection:
    sys.exit(0 if connection.execute(FRESH, [f"{socket.gethostname()}:%"]).fetchone() else 1)
