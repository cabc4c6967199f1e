#!/usr/bin/env bash
# Builds dist/ with Trunk. Arguments go to `trunk build`.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/.tools/bin:$PWD/node_modules/.bin:$PATH TRUNK_SKIP_VERSION_CHECK=true
# Trunk reads NO_COLOR as its own flag and rejects the usual value 1.
unset NO_COLOR
exec trunk build "$@"
