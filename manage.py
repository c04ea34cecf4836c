#!/usr/bin/env python
"""Django's command line; `manage.py up` starts the whole platform."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "forjinn.settings")
    from django.core.management import execute_from_command_line

    from forjinn.env import EnvError

    try:
        execute_from_command_line(sys.argv)
    except EnvError as exc:  # a setting that cannot be read: one line says which, and what is expected
        sys.exit(f"forjinn: {exc}")


if __name__ == "__main__":
    main()
