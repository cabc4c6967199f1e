"""Debian packages as short texts with what they depend on: each label is itself a package with a text."""

from collections import Counter

import numpy as np

import packfile

DOCUMENTS, TEST = 7000, 1000
# Packages that so many others depend on: fewer say nothing, more are needed by nearly everything.
USES = range(20, 201)
LEAST = 3


def packages(registry, out):
    index = [entry for entry in entries(registry.debian_index()) if entry["Section"]]
    uses = Counter(need for entry in index for need in entry["needs"])
    labels = {entry["Package"] for entry in index if uses[entry["Package"]] in USES}
    documents = [entry for entry in index if labels & entry["needs"]]
    documents = packfile.mixed(documents, DOCUMENTS)
    # What is left of the labels in what is trained on.
    uses = Counter(need for entry in documents[TEST:] for need in entry["needs"])
    labels = {label for label in labels if uses[label] >= LEAST}
    documents = [entry for entry in documents if labels & entry["needs"]]
    place = {label: str(k) for k, label in enumerate(sorted(labels))}
    texts = {entry["Package"]: entry["Description"] for entry in index}
    lines = [f"{label}\t{texts[label]}\n" for label in sorted(labels)] + ["\n"]
    for entry in documents:
        needs = " ".join(place[need] for need in sorted(labels & entry["needs"]))
        lines.append(f"{entry['Package']}\t{entry['Description']}\t{needs}\n")
    test, train = "".join(lines[len(labels) + 1 :][:TEST]), "".join(lines[len(labels) + 1 :][TEST:])
    train = "".join(lines[: len(labels) + 1]) + train
    vocabulary = sorted(set(train + test))
    code = {symbol: i for i, symbol in enumerate(vocabulary)}
    arrays, ranges = packfile.join(
        *({"tokens": np.array([code[symbol] for symbol in part], np.uint8)} for part in (train, test))
    )
    header = {
        "name": "packages",
        "title": "Debian packages and what they need",
        "kind": "text",
        "vocabulary": "".join(vocabulary),
        "split": f"of {len(documents):,} packages, spread evenly over the index, {TEST:,} are for testing",
        "licence": "Debian free software guidelines (package descriptions, each under the licence of its package)",
        "attribution": "the maintainers of the packages of Debian 12",
        "source": "apt-cache dumpavail, Debian 12 (bookworm) main, amd64",
        "note": f"first lines: {len(labels):,} packages that others need, name and description; after an empty line: name, "
        "description, and places of those lines; ASCII",
    }
    packfile.write(out, header | ranges, arrays)


def entries(index: str) -> list[dict]:
    """The newest entry of each package, by name, with the names that it depends on, of alternatives the first."""
    found = {}
    for paragraph in index.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] not in " \t")
        name, description = fields.get("Package"), fields.get("Description")
        if not name or not description or name in found:
            continue
        needs = (need.split("|")[0].split("(")[0].strip().split(":")[0] for need in fields.get("Depends", "").split(","))
        ascii_text = description.encode("ascii", "ignore").decode().replace("\t", " ")
        entry = {"Package": name, "Description": ascii_text, "Section": fields.get("Section", "")}
        found[name] = entry | {"needs": set(needs) - {""}}
    return [found[name] for name in sorted(found)]
