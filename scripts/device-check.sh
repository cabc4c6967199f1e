#!/usr/bin/env bash
# What a machine's GPU computes and how fast it does, as a dated section for DEVICES.md: every operation and whole training runs
# against the CPU, the bench's workloads with where a step's time goes, study 04. Minutes, once the code is built.
#   scripts/device-check.sh [FILE]    adds the section to FILE (DEVICES.md)
set -euo pipefail
cd "$(dirname "$0")/.."
file=${1:-DEVICES.md}
log=$(mktemp)
trap 'rm -f "$log" "$log.section"' EXIT
say() { printf '\033[1mdevice:\033[0m %s\n' "$*" >&2; }

say "building"
cargo build -q -p engine -p studies -p minibatch --tests --bins >&2
minibatch() { target/debug/minibatch "$@"; }

adapter=$(minibatch bench --backend gpu --workload w4 --steps 1 --json | sed -n 's/.*"adapter":"\([^"]*\)".*/\1/p')
say "adapter: $adapter"

# What fails is part of the report.
checks() {
    say "$1"
    shift
    cargo test -q -p engine "$@" >"$log" 2>&1 || true
    sed -n 's/^test result: \(.*\); finished.*/\1/p; s/^test \(.* FAILED\)$/\1/p' "$log"
}

{
    printf '\n## %s, %s\n\n' "$adapter" "$(date -u +%F)"
    printf '**Operations against the CPU executor and an f64 reference.** %s\n\n' "$(checks "every operation" --lib -- gpu:: graph::tests agree)"
    printf '**Whole training runs against the CPU executor.** %s\n\n' "$(checks "whole training runs" --test gpu)"
    say "the bench, with a profile of a step"
    printf '**The bench**, CPU and GPU, and where a step of the GPU goes.\n\n```text\n'
    minibatch bench --backend cpu --steps 20
    minibatch bench --backend gpu --steps 50 --profile
    printf '```\n\n**Study 04**, fetching rows for a GPU by its own reads or through packed copies.\n\n```text\n'
    say "study 04"
    minibatch study 04 --backend gpu
    printf '```\n'
} >"$log.section"
cat "$log.section" >>"$file"
say "added to $file"
