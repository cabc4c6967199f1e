#!/usr/bin/env bash
# What this machine's GPU computes and how fast, as a dated section of Markdown: every operation and 50 steps of each model
# against the CPU, the bench's workloads with where a step's time goes, study 04. Without a GPU a software adapter is
# measured, and named. Under 8 minutes once the code is built.
#   scripts/device-check.sh [GFLOPS] >>DEVICES.md     GFLOPS: the GPU's peak in f32 by its data sheet, for shares of it
set -euo pipefail
cd "$(dirname "$0")/.."
peak=${1:-}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
say() { printf '\033[1mdevice:\033[0m %s\n' "$*" >&2; }
# The packages of `make test`, together: others would be built with other features.
packages=(-p engine -p code -p studies -p minibatch -p logs)
minibatch() { target/debug/minibatch "$@" 2>>"$log"; }

# One test program's verdicts; what fails is part of the report.
checked() {
    say "$1"
    printf '**%s** ' "$1"
    shift
    cargo test "${packages[@]}" "$@" >"$log" 2>&1 || true
    grep -E '^test .* FAILED$|^skipped' "$log" || true
    sed -n 's/^test result: \(.*\) 0 ignored.*/\1/p' "$log" | grep -v ' 0 passed; 0 failed' || tail -5 "$log"
    echo
}

say "building"
cargo test --no-run "${packages[@]}" >&2
say "asking for the GPU"
first=$(minibatch bench --backend gpu --workload w4 --steps 1 --json) || { cat "$log" >&2; exit 1; }
adapter=$(sed 's/.*"adapter":"\([^"]*\)".*/\1/' <<<"$first")

printf '\n## %s, %s\n\n' "$adapter" "$(date -u +%F)"
checked "Every operation, against the CPU executor and a reference in f64." --lib gpu::
checked "Fifty steps of each model, every update rule, against the CPU executor." --test gpu
say "the bench"
echo '| workload | CPU, ms a step | GPU, ms a step | first step, ms | launches | GFLOP/s | share of the peak |'
echo '|---|---|---|---|---|---|---|'
for workload in w1 w2 w3 w4; do
    for backend in cpu gpu; do minibatch bench --backend $backend --workload $workload --steps 50 --json; done |
        awk -v workload=$workload -v peak="$peak" '
            function number(name) { match($0, "\"" name "\":[0-9.e+-]+"); return substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) + 0 }
            { ms[NR] = number("median_ms"); first = number("first_step_ms"); launches = number("dispatches"); rate = number("flop") / number("median_ms") / 1e6 }
            END { printf "| %s | %.2f | %.2f | %.0f | %d | %.1f | %s |\n", workload, ms[1], ms[2], first, launches, rate, peak ? sprintf("%.2g%%", 100 * rate / peak) : "" }'
done
printf '\n**Where a step of W2 goes.**\n\n```text\n'
minibatch bench --backend gpu --workload w2 --steps 20 --profile
printf '```\n\n**Study 04**, rows fetched by kernels or by packed copies.\n\n```text\n'
say "study 04"
minibatch study 04 --backend gpu || cat "$log"
printf '```\n'
