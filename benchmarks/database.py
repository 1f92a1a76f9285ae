"""The product's database asked directly, SQLite or PostgreSQL, so that no measurement rests on the product's own words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg

from benchmarks.product import Product


class Database:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def value(self, sql: str) -> Any:
        """The first column of the first row."""
        return self._connection.execute(sql).fetchone()[0]

    def run(self, sql: str) -> None:
        self._connection.execute(sql)


@contextmanager
def database(served: Product) -> Iterator[Database]:
    """Each statement is a transaction of its own."""
    url = served.database_url
    if url.startswith("sqlite"):
        connection: Any = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)
    else:
        connection = psycopg.connect(url, autocommit=True)
    with closing(connection):
        yield Database(connection)
