#!/usr/bin/env bash
# Makes .venv from a Python and its pip alone, and fills it from a lock file: the first half of `make run`.
#
#   install.sh run     requirements-run.lock: the platform and what `make run` starts
#   install.sh test    requirements-test.lock: all of that, and the tools of `make test` and `make check`
#
# Done before with the same locks, it does nothing. PYTHON=/path/to/python chooses the Python.
set -euo pipefail
cd "$(dirname "$0")/../.."

purpose=${1:?run or test}
stamp=.venv/installed

say() { echo "forjinn: $*" >&2; }

# `make run` beside `make test` takes its turn, where the system has a lock for shells: both would write into one .venv.
exec 9<forjinn/embedded/install.sh
if command -v flock >/dev/null; then flock 9; fi

# What keeps a Python from serving us, in words; silent where nothing does.
readonly OBSTACLE='
import sys
try:
    import ensurepip
except ImportError:
    ensurepip = None
try:
    import pip
    has_pip = tuple(map(int, pip.__version__.split(".")[:2])) >= (22, 3)
except ImportError:
    has_pip = False
if sys.version_info < (3, 11):
    sys.exit("is Python %d.%d, which is too old" % sys.version_info[:2])
if not has_pip and not ensurepip:
    sys.exit("has no pip, or one older than 22.3")
import venv
'

find_python() {
  local name obstacle found=""
  for name in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
    command -v "$name" >/dev/null || continue
    if obstacle=$("$name" -c "$OBSTACLE" 2>&1); then
      echo "$name"
      return
    fi
    found+="${found:+$'\n'}  $name ${obstacle##*$'\n'}"
  done
  say "Python 3.11 or newer with pip is needed. Found:"
  printf '%s\n' "${found:-  none}" >&2
  say "Install one (Debian, Ubuntu: apt install python3 python3-pip), or name it: make PYTHON=/path/to/python ..."
  return 1
}

make_venv() {
  say "making .venv with $("$python" --version)"
  rm -rf .venv
  # Debian's Python comes without ensurepip, so .venv gets no pip where the Python outside has one.
  if has_pip "$python"; then
    "$python" -m venv --without-pip .venv
  else
    "$python" -m venv .venv
  fi
}

has_pip() { "$1" -m pip --version >/dev/null 2>&1; }

run_pip() {
  if has_pip .venv/bin/python; then
    .venv/bin/python -m pip "$@"
  else
    "$python" -m pip --python .venv/bin/python "$@"
  fi
}

install_with_uv() {
  run_pip install --quiet --no-deps --require-hashes --only-binary :all: -r requirements-uv.lock &&
    .venv/bin/uv pip sync --compile-bytecode --quiet --python .venv/bin/python --require-hashes "$lock"
}

# --no-deps: the lock is complete, and names packages that ours override away.
install_with_pip() { run_pip install --quiet --no-deps --require-hashes -r "$lock"; }

# A clone that has the tests' tools keeps them: `make run` after `make test` takes nothing away.
if [[ -f $stamp && $(<$stamp) == "test "* ]]; then purpose=test; fi
lock=requirements-$purpose.lock
wanted="$purpose $PWD $(cat requirements-uv.lock "$lock" | cksum)"
if [[ -x .venv/bin/python && -f $stamp && $(<$stamp) == "$wanted" ]]; then exit 0; fi

python=$(find_python)
usable='import sys; sys.exit(sys.version_info < (3, 11))'
# Scripts in .venv name the folder they were made in: a clone that was moved starts afresh.
if ! .venv/bin/python -c "$usable" 2>/dev/null || [[ -f $stamp && $(<$stamp) != *" $PWD "* ]]; then make_venv; fi
rm -f $stamp
say "installing $lock"
if ! install_with_uv; then
  say "uv could not; trying pip, which reads your pip configuration and takes a minute"
  install_with_pip
fi
echo "$wanted" >$stamp
say "installed"
