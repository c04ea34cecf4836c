"""Users' JavaScript: does it ask for modules that the sandbox does not have?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.checks.nodes import places_of
from engine.checks.problem import Problem
from engine.flow import Drawing
from engine.registry import Registry
from engine.sandbox import MODULES

REQUIRE = re.compile(r"""\brequire\s*\(\s*(['"`])([^'"`\n]+)\1\s*\)""")
FIX = f"do without it: functions find {', '.join(MODULES)}; other nodes, or a service behind an API, do the rest"


def code_problems(drawing: Drawing, registry: Registry) -> Iterator[Problem]:
    """A warning for each missing module: code may ask for it only on some of its ways, and fails there."""
    for place in places_of(drawing):
        node_type = registry.get(place.name)
        for param in node_type.spec.params if node_type else ():
            code = place.inputs.get(param.name)
            if param.kind != "code" or not isinstance(code, str):
                continue
            for module in missing_modules(code):
                yield place.problem(
                    f"{param.label or param.name} requires {module!r}, a module that functions do not find here",
                    FIX,
                    field=param.name,
                    severity="warning",
                    code="doubtful",
                    subject=module,
                )


def missing_modules(code: str) -> list[str]:
    """What a function requires by name and does not get, in the order of their first mention."""
    names = dict.fromkeys(match[2] for match in REQUIRE.finditer(code))
    return [name for name in names if name.removeprefix("node:") not in MODULES]
