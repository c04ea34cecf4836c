"""What foreign JavaScript cannot do: reach anything, or take more than its share. The next call finds nothing of it."""

from __future__ import annotations

import contextlib

import pytest

from engine.errors import NodeError, NodeInputError, NodeTimeout
from tests.engine.javascript import JavaScript, javascript_sandbox

pytestmark = pytest.mark.asyncio(loop_scope="session")

OVERRUNS = [
    ("while (true) {}", NodeTimeout, "computed for more than 1 seconds"),
    ("while (true) { try { while (true) {} } catch {} finally {} }", NodeTimeout, "computed for more than"),
    ("}); while (true) {} (() => {", NodeTimeout, "computed for more than"),
    ("for (;;) await null", NodeTimeout, "computed for more than"),
    (
        "const again = () => Promise.resolve().then(again); again(); await new Promise(() => {})",
        NodeError,
        "computed|memory",
    ),
    ("return /(a+)+$/.test('a'.repeat(40) + 'b')", NodeTimeout, "computed for more than"),
    ("return '{'.repeat(1e6).replace(/(.*)*x/, '')", NodeTimeout, "computed for more than"),
    ("const held = []; for (;;) held.push(new Uint8Array(1e6).fill(1))", NodeError, "more memory than the 64 MB"),
    ("const held = []; for (;;) held.push({ held })", NodeError, "memory"),
    ("let text = 'x'; for (;;) text += text", NodeError, "string too long"),
    ("return new Array(2 ** 30).fill(0).length", NodeError, "more memory than the 64 MB"),
    ("return 'x'.repeat(2 ** 29)", NodeError, "more memory than the 64 MB"),
    ("return 'x'.repeat(5e6)", NodeError, "gave out more than the 4194304 bytes"),
    ("await fetch('http://127.0.0.1/', { method: 'POST', body: 'x'.repeat(5e6) })", NodeError, "gave out more than"),
    ("(function deeper() { deeper() })()", NodeError, "went too deep"),
    ("return JSON.parse('['.repeat(1e5))", NodeError, "went too deep"),
    ("let nested = {}; for (let i = 0; i < 1e5; i++) nested = { nested }; return nested", NodeError, "went too deep"),
    ("const loop = {}; loop.loop = loop; return loop", NodeError, "circular"),
    ("await new Promise(() => {})", NodeError, "waits for something that never comes"),
    ("for (;;) setTimeout(() => {}, 0)", NodeError, "for requests or timers without end"),
]


@pytest.mark.parametrize(("code", "error", "message"), OVERRUNS, ids=[row[0][:40] for row in OVERRUNS])
async def test_a_function_that_overruns_ends_and_the_next_one_runs(
    javascript: JavaScript, code: str, error: type[NodeError], message: str
) -> None:
    with pytest.raises(error, match=message):
        await javascript.run(code)

    assert await javascript.run("return $a + 1", a=1) == 2


@pytest.mark.parametrize(
    "name",
    [
        *("fs", "fs/promises", "child_process", "process", "os", "net", "http", "vm", "worker_threads", "module"),
        *("node:fs", "node:child_process", "NODE:fs", "node:node:fs", "./fs", "../../fs", "/etc/passwd", "puppeteer"),
        *(
            "\uff46\uff53",
            "f\u0455",
            "fs\u200b",
            "\ufb00s",
            "child\uff3fprocess",
            "__proto__",
            "constructor",
            "hasOwnProperty",
            "",
        ),
    ],
)
async def test_no_module_leads_out(javascript: JavaScript, name: str) -> None:
    with pytest.raises(NodeError, match=r"is not available: functions run in a sandbox that has axios, buffer"):
        await javascript.run("return Object.keys(require($name))", name=name)


async def test_import_leads_nowhere(javascript: JavaScript) -> None:
    for name in ("fs", "node:fs", "file:///etc/passwd", "data:text/javascript,export default 1"):
        with pytest.raises(NodeError, match="Error loading module"):
            await javascript.run("return String(await import($name))", name=name)


@pytest.mark.parametrize(
    "name",
    ["process", "global", "Deno", "Bun", "os", "std", "module", "exports", "__dirname", "sendToHost", "callHost"],
)
async def test_there_is_no_name_for_what_lies_outside(javascript: JavaScript, name: str) -> None:
    assert await javascript.run(f"return typeof {name} + typeof globalThis[$name]", name=name) == "undefined" * 2


@pytest.mark.parametrize(
    "code",
    [
        "return this.constructor.constructor('return process')()",
        "return (async () => {}).constructor('return process')()",
        "return [].filter.constructor('return process.env')()",
        "return require.constructor('return process.mainModule.require(\"fs\")')()",
        "return axios.get.constructor('return global.process')()",
        "return fetch('x').constructor.constructor('return process')()",
        "return Reflect.construct(Function, ['return process'])()",
        "try { null.x } catch (error) { return error.constructor.constructor('return process')() }",
        "return eval('process')",
        "return (0, eval)('proc\\u0065ss')",
        "return new Proxy(console, {}).log.constructor('return process')()",
    ],
)
async def test_walking_up_constructors_leads_nowhere(javascript: JavaScript, code: str) -> None:
    with pytest.raises(NodeError, match=r"(process|global) is not defined"):
        await javascript.run(f"return await (async () => {{ {code} }})()")


@pytest.mark.parametrize(
    "code",
    [
        "Object.prototype.polluted = 'yes'; Array.prototype.map = () => 'yes'; return 1",
        "globalThis.polluted = 'yes'; return 1",
        "JSON.stringify = () => '\"yes\"'; JSON.parse = () => 'yes'; Promise.prototype.then = () => {}; return 1",
        "Object.prototype.__proto__.polluted = 'yes'",
        "globalThis.fetch = globalThis.require = () => 'yes'; return 1",
        "setTimeout(() => { globalThis.polluted = 'yes' }, 20); return 1",
        "Object.freeze(globalThis); return 1",
    ],
)
async def test_nothing_of_a_call_is_left_for_the_next(javascript: JavaScript, code: str) -> None:
    with contextlib.suppress(NodeError):
        await javascript.run(code)

    left = await javascript.run(
        "await new Promise((go) => setTimeout(go, 30));"
        "return [typeof polluted, [1].map((x) => x + 1), String(fetch).slice(0, 14)]"
    )
    assert left == ["undefined", [2], "async function"]


async def test_changed_builtins_change_the_functions_own_result_alone(javascript: JavaScript) -> None:
    returned = await javascript.returned("JSON.stringify = () => '{\"value\":1}'; console.log('said'); return { a: 1 }")

    assert returned.value == {"a": 1}
    assert returned.console == ("said",)


async def test_the_flows_values_are_copies(javascript: JavaScript) -> None:
    flow = {"state": {"count": 1}}

    await javascript.run("$flow.state.count = 2; $flow.state.more = $flow", flow=flow)

    assert flow == {"state": {"count": 1}}


@pytest.mark.parametrize("name", ["__proto__", "constructor", "toString"])
async def test_a_variable_of_a_dangerous_name_is_only_a_variable(javascript: JavaScript, name: str) -> None:
    returned = await javascript.sandbox.run(
        "return [typeof Object.prototype.evil, 1 + 1]", variables={name: {"evil": "yes"}}, http=javascript.http
    )

    assert returned.value == ["undefined", 2]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("throw new TypeError('no such thing')", r"The function failed \(near line 1\): TypeError: no such thing"),
        ("const a = 1;\n\nnull.b()", r"TypeError: cannot read property 'b' of null"),
        ("return missing", "ReferenceError: missing is not defined"),
        ("throw { reason: 'plain' }", r'The function failed: \{"reason":"plain"\}'),
        ("throw undefined", "The function failed: undefined"),
        ("throw { toString() { throw 1 }, toJSON() { throw 2 } }", "something that cannot be shown"),
        ("return 1n", "BigInt"),
    ],
)
async def test_what_a_function_throws_is_told(javascript: JavaScript, code: str, message: str) -> None:
    with pytest.raises(NodeError, match=message):
        await javascript.run(code)


@pytest.mark.parametrize("code", ["const = 1", "return (1", "import fs from 'fs'"])
async def test_what_is_no_javascript_is_told(javascript: JavaScript, code: str) -> None:
    with pytest.raises(NodeInputError, match=r"The function is no JavaScript \(near line \d\): SyntaxError"):
        await javascript.run(code)


async def test_a_function_may_wait_for_longer_than_it_may_compute() -> None:
    async with javascript_sandbox(compute_s=0.2) as javascript:
        waited = "for (let i = 0; i < 5; i++) await new Promise((go) => setTimeout(go, 100)); return 'done'"

        assert await javascript.run(waited) == "done"


async def test_a_function_that_waits_too_long_ends_with_its_process() -> None:
    async with javascript_sandbox(wall_s=3.0) as javascript:
        await javascript.run("return 1")

        with pytest.raises(NodeTimeout, match="took longer than 3 seconds"):
            await javascript.run("await new Promise((go) => setTimeout(go, 1e6))")

        assert await javascript.run("return 1") == 1
