"""Every setting is documented, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READ = re.compile(r'env_(?:text|bool|int|list)\(\s*"([A-Z_]+)"')
DOCUMENTED = re.compile(r"^\| `([A-Z_]+)` \|", re.MULTILINE)


def settings_read() -> set[str]:
    sources = [ROOT / "forjinn" / "settings.py", *(ROOT / "forjinn").glob("embedded/*.py")]
    sources += (ROOT / "forjinn" / "management" / "commands").glob("*.py")
    return {name for source in sources for name in READ.findall(source.read_text())}


def test_every_setting_that_is_read_is_documented_and_none_is_made_up() -> None:
    documented = set(DOCUMENTED.findall((ROOT / "docs" / "configuration.md").read_text()))

    assert documented == settings_read()


def test_only_env_reads_the_environment() -> None:
    allowed = {
        ROOT / "forjinn" / "env.py",
        ROOT / "manage.py",
        ROOT / "forjinn" / "asgi.py",
        ROOT / "forjinn" / "celery.py",
    }
    folders = ("apikeys", "chatflows", "engine", "forjinn", "predictions", "workspaces")
    sources = [source for folder in folders for source in (ROOT / folder).rglob("*.py")]

    offenders = [
        str(source.relative_to(ROOT))
        for source in sources
        if re.search(r"os\.(environ|getenv)", source.read_text())
        and source not in allowed
        and "embedded" not in source.parts
    ]

    assert offenders == []
