#!/usr/bin/env python
"""Django's command line; `manage.py up` starts the whole platform."""

import json
import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "forjinn.settings")
    from django.core.management import execute_from_command_line

    from forjinn.core.scopes import system_scope
    from forjinn.env import EnvError

    # For the audit trail. What follows the command's name may be a secret.
    actor = json.dumps({"kind": "command", "name": " ".join(["manage.py", *sys.argv[1:2]])})
    try:
        with system_scope(actor=actor):  # commands see all workspaces
            execute_from_command_line(sys.argv)
    except EnvError as exc:  # a setting that cannot be read: one line says which, and what is expected
        sys.exit(f"forjinn: {exc}")


if __name__ == "__main__":
    main()
