"""The published samples in JavaScript, run as they are written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from tests.platform import Platform

SAMPLES = """
const response = await fetch('https://your-forjinn-instance.com/api/v1/chatflows', {
  method: 'POST',
  headers: {
    'Authorization': 'Bearer fj-abc123def456',
    'Content-Type': 'application/json',
  },
  body: JSON.stringify({
    name: 'Customer Support Bot',
    type: 'CHATFLOW',
    category: 'Support',
    flowData: JSON.stringify({ nodes: [], edges: [], viewport: { x: 0, y: 0, zoom: 1 } }),
  }),
});
const chatflow = await response.json();
----
const response = await fetch('https://your-forjinn-instance.com/api/v1/chatflows', {
  headers: { 'Authorization': 'Bearer fj-abc123def456' },
});
const chatflows = await response.json();
----
const id = 'a1b2c3d4-e5f6-7890-abcd-ef1234567890';
const response = await fetch(`https://your-forjinn-instance.com/api/v1/chatflows/${id}`, {
  headers: { 'Authorization': 'Bearer fj-abc123def456' },
});
const chatflow = await response.json();
----
const response = await fetch(
  'https://your-forjinn-instance.com/api/v1/chatflows/apikey/fj-abc123def456',
  { headers: { 'Authorization': 'Bearer fj-abc123def456' } }
);
const chatflow = await response.json();
----
const id = 'a1b2c3d4-e5f6-7890-abcd-ef1234567890';
const response = await fetch(`https://your-forjinn-instance.com/api/v1/chatflows/${id}`, {
  method: 'PUT',
  headers: {
    'Authorization': 'Bearer fj-abc123def456',
    'Content-Type': 'application/json',
  },
  body: JSON.stringify({
    deployed: true,
    description: 'Handles tier-1 support questions using the product knowledge base.',
  }),
});
const updated = await response.json();
----
const id = 'a1b2c3d4-e5f6-7890-abcd-ef1234567890';
const response = await fetch(`https://your-forjinn-instance.com/api/v1/chatflows/${id}`, {
  method: 'DELETE',
  headers: { 'Authorization': 'Bearer fj-abc123def456' },
});
// 200 OK on success
"""
CREATE, LIST, GET, GET_BY_KEY, UPDATE, DELETE = SAMPLES.split("----\n")
NAMES = ("updated", "chatflows", "chatflow")  # what the samples call their answer


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have Node.js for the samples in JavaScript")
        pytest.skip("no Node.js here: the samples in JavaScript are not run")
    return found


def run(node: str, platform: Platform, sample: str, chatflow_id: str = "") -> tuple[int, Any]:
    """The status and the body that the sample got."""
    text = sample.replace("https://your-forjinn-instance.com", platform.url).replace(
        "fj-abc123def456", platform.api_key
    )
    text = text.replace("a1b2c3d4-e5f6-7890-abcd-ef1234567890", chatflow_id)
    body = next((name for name in NAMES if f"const {name} =" in text), "await response.json()")
    text += f"\nprocess.stdout.write(JSON.stringify([response.status, {body}]));"
    done = subprocess.run(
        [node, "--input-type=module", "-"], input=text, capture_output=True, text=True, timeout=60, check=True
    )
    status, answered = json.loads(done.stdout)
    return int(status), answered


def test_the_samples_take_a_flow_through_its_life(node: str, platform: Platform) -> None:
    status, created = run(node, platform, CREATE)
    assert (status, created["name"], created["deployed"]) == (200, "Customer Support Bot", False)
    flow_id = created["id"]

    status, listed = run(node, platform, LIST)
    assert status == 200
    assert flow_id in [chatflow["id"] for chatflow in listed]

    assert run(node, platform, GET, flow_id) == (200, created)

    status, of_key = run(node, platform, GET_BY_KEY)
    assert (status, type(of_key)) == (200, list)

    status, updated = run(node, platform, UPDATE, flow_id)
    assert (status, updated["deployed"]) == (200, True)
    assert updated["description"] == "Handles tier-1 support questions using the product knowledge base."

    assert run(node, platform, DELETE, flow_id)[0] == 200
    assert run(node, platform, GET, flow_id)[0] == 404
