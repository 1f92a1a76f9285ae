"""Which kinds of table are taken, by their media type or by how a file begins."""

from __future__ import annotations

CSV = "csv"
ARROW = "arrow"
NPY = "npy"
PARQUET = "parquet"
TYPES = {
    "text/csv": CSV,
    "application/vnd.apache.arrow.stream": ARROW,
    "application/x-npy": NPY,
    "application/vnd.apache.parquet": PARQUET,
}
ANY = "application/octet-stream"
_BEGINNINGS = {b"PAR1": PARQUET, b"ARROW1": ARROW, b"\xff\xff\xff\xff": ARROW, b"\x93NUMPY": NPY}
TOLD_BY_BYTES = max(map(len, _BEGINNINGS))


def kind_of(beginning: bytes) -> str:
    """beginning: at least TOLD_BY_BYTES of the file, where it has so many. What begins like nothing else is text."""
    return next((kind for mark, kind in _BEGINNINGS.items() if beginning.startswith(mark)), CSV)
