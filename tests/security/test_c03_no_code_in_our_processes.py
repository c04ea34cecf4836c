"""C3: code of users, models, files and templates runs in the sandbox or not at all; our own code has no door for it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from engine.arithmetic import calculate
from engine.errors import NodeError, NodeInputError
from engine.events import RunFinished
from engine.flow import parse_flow
from engine.nodes.csv_agent import run_csv
from engine.openapi import read_api
from engine.providers.fake import FakeChatModel, calling
from engine.registry import load_registry
from engine.runner import run_flow
from engine.zod import to_json_schema
from tests.engine.javascript import JavaScript
from tests.engine.node_world import NodeWorld
from tests.predictions import drawing
from tests.security.source import ROOT, calls, imports

START_AND_REPLY = ("startAgentflow_0", "directReplyAgentflow_0")
ON_ONE_LOOP = pytest.mark.asyncio(loop_scope="session")

BANNED = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"),
    *("yaml.full_load", "importlib.import_module", "mark_safe", "pickle.load", "pickle.loads", "marshal.loads"),
    *("code.interact", "runpy.run_path", "runpy.run_module", "types.FunctionType", "types.CodeType"),
    *("read_pickle", "to_pickle", "numpy.load", "joblib.load", "torch.load", "jinja2.Template", "Template"),
}
BANNED_MODULES = {
    *("pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "code", "codeop", "runpy", "jinja2", "mako"),
    *("pandas", "numexpr", "RestrictedPython", "selenium", "playwright", "pyppeteer", "py_mini_racer", "js2py"),
}
ALLOWED_CALLS = {
    # A SafeLoader that refuses aliases, too.
    ("engine/openapi.py", "yaml.load"),
}


def test_no_code_of_ours_turns_text_into_code() -> None:
    found = {(path, name) for path, name, _ in calls() if name in BANNED}

    assert found == ALLOWED_CALLS


def test_no_module_of_ours_unpickles_renders_code_or_drives_a_browser() -> None:
    assert [(path, name) for path, name in imports() if name.partition(".")[0] in BANNED_MODULES] == []


def test_only_simpleeval_and_the_guest_inside_the_sandbox_have_an_eval() -> None:
    evaluating = {(path, name) for path, name, _ in calls() if name.rpartition(".")[2] in ("eval", "exec")}

    assert evaluating == {
        ("engine/arithmetic.py", "reader.eval"),  # numbers, operators and functions of a list
        ("engine/sandbox/guest.py", "context.eval"),  # runs in the confined process
    }


def test_no_query_of_ours_hands_raw_options_to_the_orm() -> None:
    raw = {(path, name) for path, name, _ in calls() if name.rpartition(".")[2] in ("extra", "raw", "RawSQL")}

    assert raw == set()


def test_no_template_of_ours_switches_escaping_off() -> None:
    pages = [path for folder in ("apikeys", "chatflows", "forjinn", "predictions", "workspaces") for path in
             (ROOT / folder).rglob("templates/**/*.html")]  # fmt: skip

    assert pages
    assert [path for path in pages if "|safe" in path.read_text() or "autoescape off" in path.read_text()] == []


@ON_ONE_LOOP
@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("return process.env", "process is not defined"),
        ("return Deno.env.toObject()", "Deno is not defined"),
        ("return require('child_process').execSync('id').toString()", r'require\("child_process"\) is not available'),
        ("return require('node:fs').readFileSync('/etc/passwd', 'utf8')", r'require\("node:fs"\) is not available'),
        (
            "return require('puppeteer').launch({ executablePath: '/bin/sh' })",
            r'require\("puppeteer"\) is not available',
        ),
        ("for (;;) require('cluster').fork()", r'require\("cluster"\) is not available'),
        ("return [].constructor.constructor('return process')().env", "process is not defined"),
        ("return (await import('node:os')).userInfo()", "Error loading module 'node:os'"),
        ("return (await import('/etc/passwd')).default", "Error loading module '/etc/passwd'"),
        ("return await (await fetch('http://169.254.169.254/latest/meta-data/')).text()", "EGRESS_ALLOW"),
        ("return (await require('axios').get('http://[::ffff:169.254.169.254]/')).data", "EGRESS_ALLOW"),
        ("return await fetch('http://metadata.google.internal/')", "EGRESS_ALLOW"),
        ("return await (await fetch('file:///etc/passwd')).text()", "must begin with http"),
        ("while (true) {}", "computed for more than 1 seconds"),
        ("const held = []; for (;;) held.push(new Uint8Array(1e6).fill(1))", "more memory than the 64 MB"),
        ("return 'x'.repeat(5e6)", "gave out more than the 4194304 bytes"),
    ],
)
async def test_a_function_reaches_nothing_and_takes_no_more_than_its_share(
    javascript: JavaScript, code: str, told: str
) -> None:
    with pytest.raises(NodeError, match=told):
        await javascript.run(code)

    assert await javascript.run("return 1 + 1") == 2


@ON_ONE_LOOP
@pytest.mark.parametrize(
    ("value", "came"),
    [
        ("() => 1", None),
        ("class A {}", None),
        ("Symbol('x')", None),
        ("fetch", None),
        ("NaN", None),
        ("new Map([[1, 2]])", {}),
        ("new Proxy({ a: 1 }, { get: () => 2 })", {"a": 2}),
        ("[undefined, () => 1]", [None, None]),
        ("({ run: () => 1, toJSON() { return { a: 1 } } })", {"a": 1}),
        ("({ ['__proto__']: 1, __class__: 'x' })", {"__proto__": 1, "__class__": "x"}),
        ("'\\ud800'", "\ufffd"),
    ],
)
async def test_what_comes_out_of_a_function_is_data(javascript: JavaScript, value: str, came: Any) -> None:
    assert await javascript.run(f"return {value}") == came


@ON_ONE_LOOP
@pytest.mark.parametrize("value", ["10n", "(() => { const a = {}; a.a = a; return a })()", "({ get a() { throw 1 } })"])
async def test_what_is_no_data_does_not_come_out(javascript: JavaScript, value: str) -> None:
    with pytest.raises(NodeError, match="The function failed"):
        await javascript.run(f"return {value}")


PYTHON = (
    "__import__('os').system('id')",
    "().__class__.__bases__[0].__subclasses__()",
    "(lambda: 1)()",
    "[x for x in (1,)]",
    "open('/etc/passwd')",
    "sqrt.__globals__",
    "ｅval('1')",  # noqa: RUF001 -- a look-alike that Python itself takes for "eval"
    "f'{1}'",
    "pi.real",
    "9**9**9**9",
    "'a' * 10**9",
    "1; import os",
    "lambda x=__import__('os').system('id'): x",  # a default is worked out where it is defined
    "def f(x=exec('1')): return x",
    "@exec\nclass A: pass",
    "(x := 1)",
)


@pytest.mark.parametrize("code", PYTHON)
def test_a_calculator_works_out_numbers_alone(code: str) -> None:
    with pytest.raises(NodeInputError):
        calculate(code)


@pytest.mark.parametrize(
    "code",
    [
        *PYTHON,
        "z.object({a: process.env})",
        "z.string().refine(() => true)",
        "z.object({['__proto__']: z.string()}).constructor.constructor('return 1')()",
        "(function () { return z.string() })()",
        "z.string().transform(eval)",
    ],
)
def test_a_schema_in_source_text_is_read_and_never_run(code: str) -> None:
    with pytest.raises(NodeInputError):
        to_json_schema(code)


API = """
openapi: 3.0.0
info: {{version: "1", title: {title}}}
servers: [{{url: "https://example.org"}}]
paths: {{}}
"""


def test_a_document_in_yaml_is_read() -> None:
    assert read_api(API.format(title="x")).url == "https://example.org"


@pytest.mark.parametrize(
    ("title", "told"),
    [
        ("!!python/object/apply:os.getcwd []", "neither JSON nor YAML: could not determine a constructor"),
        ("!!python/object/new:str [x]", "neither JSON nor YAML: could not determine a constructor"),
        ("!!python/tuple [x]", "neither JSON nor YAML: could not determine a constructor"),
        ("!!js/function 'return 1'", "neither JSON nor YAML: could not determine a constructor"),
        ("&a [*a, *a]", "aliases"),
    ],
)
def test_a_document_in_yaml_makes_no_objects(title: str, told: str) -> None:
    with pytest.raises(NodeInputError, match=told):
        read_api(API.format(title=title))


TEMPLATES = (
    *("{{ 7*7 }}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{{ '7'|repeat }}", "{% import os %}", "{% if 1 %}x{% endif %}"),
    *("{{ ''.__class__.__mro__ }}", "{{ $vars.__class__ }}", "{{ constructor.constructor }}", "{{ self.__init__ }}"),
)


@pytest.mark.parametrize(
    ("text", "became"),
    [*((text, text) for text in TEMPLATES), ("{{ question }}", "hi"), ("{{ question.__init__.__globals__ }}", "hi")],
)
async def test_a_template_puts_values_in_and_works_nothing_out(nodes: NodeWorld, text: str, became: str) -> None:
    flow = parse_flow(drawing.flow([drawing.start(), drawing.reply(0, text)], drawing.path(*START_AND_REPLY)))

    events = [e async for e in run_flow(flow, nodes.context("hi").request, nodes.world, registry=load_registry())]

    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == became


def csv_uri(text: str, name: str) -> str:
    return f"data:text/csv;base64,{base64.b64encode(text.encode()).decode()},filename:{name}"


@pytest.mark.parametrize(
    "code",
    [
        "read_csv(csv_data); __import__('os').system('touch {mark}')",
        "read_pickle('{mark}')",
        "read_csv('{mark}')",
        "рread_csv(csv_data)",  # noqa: RUF001 -- begins with a Cyrillic letter
        "df.eval('1')",
    ],
)
async def test_code_for_reading_a_table_is_refused(nodes: NodeWorld, tmp_path: Path, code: str) -> None:
    mark = tmp_path / "escaped"
    inputs = {"model": FakeChatModel(["?"]), "csvFile": csv_uri("a\n1\n", "a.csv")}

    with pytest.raises(NodeInputError, match="customReadCSV is Python"):
        await run_csv(nodes.context("?"), {**inputs, "customReadCSV": code.format(mark=mark)})

    assert not mark.exists()


@pytest.mark.parametrize("tool", ["python", "python_repl", "exec", "eval", "read_pickle"])
async def test_a_model_that_writes_code_for_a_table_finds_no_tool_that_takes_it(nodes: NodeWorld, tool: str) -> None:
    model = FakeChatModel([calling(tool, {"code": "__import__('os').system('id')"}), "Done."])

    await run_csv(nodes.context("?"), {"model": model, "csvFile": csv_uri("a\n1\n", "a');import os;('.csv")})

    offered = {spec.name for spec in model.calls[0].tools}
    assert offered == {"find_rows", "count_rows", "aggregate", "describe"}
