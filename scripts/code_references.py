"""Reference losses of the scripts that `minibatch code` writes: python code_references.py [FRAMEWORK..]

Writes every case of engine/code/tests/cases.txt with the command line (target/debug/minibatch), runs the script, and keeps the
hash of its text and its losses in engine/code/tests/references.json, which a test holds the lab's losses against. Needs torch,
safetensors, and for JAX jax and optax. A script whose text is known already is not run again.
"""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "engine/code/tests"
UPDATES = 50
NAMES = {"torch": "run.py", "jax": "run_jax.py"}


def cases(wanted):
    for line in (TESTS / "cases.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            frameworks, link = line.split(" ", 1)
            for framework in frameworks.split(","):
                if framework in NAMES and framework in wanted:
                    yield framework, link


def measure(framework, link, known):
    with tempfile.TemporaryDirectory() as folder:
        command = [ROOT / "target/debug/minibatch", "code", link, "--framework", framework, "--out", folder]
        subprocess.run([*command, "--updates", str(UPDATES)], check=True, stderr=subprocess.DEVNULL, cwd=ROOT)
        script = Path(folder) / NAMES[framework]
        digest = hashlib.sha256(script.read_bytes()).hexdigest()
        if known and known["sha256"] == digest:
            return known
        ran = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True)
        if ran.returncode != 0:
            raise SystemExit(f"{link}\n{script.read_text()}\n{ran.stderr}")
    pairs = re.findall(r"^update \d+  loss (\S+)  lab (\S+)$", ran.stdout, re.M)
    tests = re.findall(r"^test (\w+) (\S+)  lab (\S+)$", ran.stdout, re.M)
    losses = [float(own) for own, _ in pairs]
    apart = max(abs(float(own) - float(lab)) for own, lab in pairs)
    print(f"{framework}  {apart:.1e}  {' '.join(map(' '.join, tests))}  {link}", flush=True)
    return {"framework": framework, "link": link, "sha256": digest, "losses": losses, "test_loss": float(tests[0][1])}


def main():
    wanted = sys.argv[1:] or list(NAMES)
    path = TESTS / "references.json"
    known = {(case["framework"], case["link"]): case for case in json.loads(path.read_text())} if path.exists() else {}
    listed = set(cases(list(NAMES)))
    found = {case: known[case] for case in known if case in listed}
    for case in cases(wanted):
        found[case] = measure(*case, known.get(case))
        lines = ",\n".join(json.dumps(found[case]) for case in sorted(found))
        path.write_text(f"[\n{lines}\n]\n")


main()
