"""Fetches the browser libraries named in vendor.json and pins them by hash in vendor.lock.json; `check` works offline.

Usage: python deploy/vendor.py update     fetch all, verify, write the files and the lock
       python deploy/vendor.py check      compare the files here with the lock
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "deploy/vendor.json"
LOCK = ROOT / "deploy/vendor.lock.json"
ROOMS = ("static/vendor", "tests/vendor")
Package = dict[str, Any]


class VendorMismatch(Exception):
    """A fetched package is not what the registry or the lock says it is"""


def digest(content: bytes, algorithm: str = "sha384") -> str:
    """A subresource-integrity string: the algorithm, a dash, the hash in base64."""
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


def without_source_map(content: bytes) -> bytes:
    """The manifest storage follows source maps, and fails on those that were not vendored."""
    return re.sub(rb"\n?(//|/\*)# sourceMappingURL=[^\n]*", b"", content)


def npm(*arguments: str, folder: Path = ROOT) -> str:
    return subprocess.run(["npm", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def fetched(name: str, version: str, folder: Path) -> Path:
    """The package's tarball, verified against the sha512 that the registry publishes."""
    tarball = folder / npm("pack", "--silent", "--ignore-scripts", f"{name}@{version}", folder=folder).split()[-1]
    published = npm("view", f"{name}@{version}", "dist.integrity")
    if digest(tarball.read_bytes(), "sha512") != published:
        raise VendorMismatch(f"{name}@{version}: the tarball's sha512 is not the {published} of the registry.")
    return tarball


def members(tarball: Path) -> dict[str, bytes]:
    with tarfile.open(tarball) as archive:
        files = ((member, archive.extractfile(member)) for member in archive if member.isfile())
        return {member.name.split("/", 1)[1]: file.read() for member, file in files if file}


def symbol(name: str, drawing: str) -> str:
    """One icon of the sprite: its shapes, without the size, the class and the invisible background."""
    shapes = re.findall(r"<(?!svg|/svg)[^>]+>", drawing)
    visible = " ".join(shape for shape in shapes if 'd="M0 0h24v24H0z"' not in shape)
    return f'<symbol id="{name}" viewBox="0 0 24 24">{visible}</symbol>'


def sprite(icons: list[str], contents: dict[str, bytes]) -> bytes:
    symbols = [symbol(name, contents[f"icons/outline/{name}.svg"].decode()) for name in icons]
    return "\n".join(['<svg xmlns="http://www.w3.org/2000/svg">', *symbols, "</svg>", ""]).encode()


def wanted(package: Package, contents: dict[str, bytes]) -> dict[str, bytes]:
    """What a package contributes to the repository: content by path."""
    files = {path: without_source_map(contents[source]) for source, path in package["files"].items()}
    if "sprite" in package:
        files[package["sprite"]] = sprite(package["icons"], contents)
    if "licence_text" in package:
        files[package["licence_text"]] = (ROOT / package["licence_text"]).read_bytes()
    return files


def pinned(name: str, package: Package, locked: Package) -> Package:
    """Fetch one package, write its files and return its entry of the lock."""
    with tempfile.TemporaryDirectory() as folder:
        tarball = fetched(name, package["version"], Path(folder))
        integrity = digest(tarball.read_bytes(), "sha512")
        if locked.get("version") == package["version"] and locked["integrity"] != integrity:
            raise VendorMismatch(f"{name}@{package['version']}: the lock says {locked['integrity']}, got {integrity}.")
        files = wanted(package, members(tarball))
    for path, content in files.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_bytes(content)
    return {
        "version": package["version"],
        "licence": package["licence"],
        "integrity": integrity,
        "files": {path: digest(content) for path, content in sorted(files.items())},
    }


def locked_packages() -> dict[str, Package]:
    return json.loads(LOCK.read_text()) if LOCK.exists() else {}


def update() -> None:
    lock = locked_packages()
    spec = json.loads(SPEC.read_text())
    fresh = {name: pinned(name, package, lock.get(name, {})) for name, package in spec.items()}
    LOCK.write_text(json.dumps(fresh, indent=2) + "\n")


def faults(root: Path = ROOT) -> list[str]:
    """What differs between the lock and the files under root, a sentence each; empty when nothing does."""
    hashes = {path: hash_ for package in locked_packages().values() for path, hash_ in package["files"].items()}
    here = {str(file.relative_to(root)) for room in ROOMS for file in (root / room).rglob("*") if file.is_file()}
    changed = [path for path in sorted(here & hashes.keys()) if digest((root / path).read_bytes()) != hashes[path]]
    return [
        *(f"{path} is in the lock and not here." for path in sorted(hashes.keys() - here)),
        *(f"{path} is here and not in the lock." for path in sorted(here - hashes.keys())),
        *(f"{path} differs from its hash in the lock." for path in changed),
    ]


def main(arguments: list[str]) -> int:
    if arguments == ["update"]:
        update()
    elif arguments != ["check"]:
        sys.exit(__doc__)
    found = faults()
    print("\n".join(found) or "All vendored files match the lock.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
