#!/bin/sh
# Makes the web packs in public/data; needs python3, npm and, for Fashion-MNIST, apt-get.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools="$here/../../.tools"
if [ ! -x "$tools/data-venv/bin/python" ]; then
    python3 -m venv "$tools/data-venv"
fi
"$tools/data-venv/bin/python" -m pip install --quiet --requirement "$here/requirements.txt"
exec "$tools/data-venv/bin/python" "$here/make.py" "$@"
