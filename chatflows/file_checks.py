"""Files of flows looked at before they are imported: what runs here, and what each of the others lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chatflows.catalogue import node_types
from chatflows.interchange import FileInvalid, FlowFile, ToolFile, WorkspaceFile, read_file
from engine.checks import Problem, check_flow

RUNS = "runs"
TOOL = "custom tool, runs in the sandbox"
# In the order of their weight; a flow that lacks only what exports leave out runs as soon as it is filled in.
WORDS = {
    "missing_type": "missing types",
    "needs_extra": "needs extra",
    "needs_credential": "needs credential",
    "needs_value": "needs value",
    "doubtful": "doubtful",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """One flow or tool of a file; several come from the export of a workspace."""

    file: str
    name: str
    kind: str  # that of the flow, "tool", or "" for what is neither
    problems: Sequence[Problem] = ()

    @property
    def title(self) -> str:
        """The file, and which of its flows if it may hold several."""
        return self.file if self.name == Path(self.file).stem else f"{self.file}: {self.name}"

    @property
    def runs(self) -> bool:
        """Whether it would run here, once its credentials are connected and its files given."""
        return not any(p.severity == "error" or p.code == "needs_extra" for p in self.problems)

    @property
    def state(self) -> str:
        """In a line for people."""
        said = [f"{word}: {', '.join(names)}" for code, word in WORDS.items() if (names := self._subjects(code))]
        if broken := [p.message for p in self.problems if p.code == "broken" and p.severity == "error"]:
            more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
            said.insert(0, f"broken: {broken[0]}{more}")
        return "; ".join(said) or (TOOL if self.kind == "tool" else RUNS)

    def _subjects(self, code: str) -> list[str]:
        # A missing type that no answer needs is a warning, and is not missed.
        needed = [p for p in self.problems if p.code == code and (p.severity == "error" or code != "missing_type")]
        return sorted({problem.subject for problem in needed})


def check_file(path: Path) -> Iterator[Checked]:
    """What a file holds, each with its problems; a file that holds nothing of use is one problem itself."""
    try:
        found = read_file(path)
    except FileInvalid as exc:
        yield Checked(path.name, path.stem, "", [Problem(exc.message)])
        return
    match found:
        case FlowFile():
            yield _checked(path, found)
        case ToolFile():
            yield Checked(path.name, found.name, "tool")
        case WorkspaceFile():
            tools = [str(tool.id) for tool in found.tools]
            for flow in found.flows:
                yield _checked(path, flow, tools)
            for tool in found.tools:
                yield Checked(path.name, tool.name, "tool")


def _checked(path: Path, flow: FlowFile, tools: Sequence[str] = ()) -> Checked:
    """`tools`: ids of those that the file brings along."""
    return Checked(path.name, flow.name, flow.kind, check_flow(flow.flow_data, node_types(), tools=tools))
