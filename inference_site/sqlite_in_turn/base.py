"""Django's SQLite backend, whose writers wait for their turn at a lock of their own and not in SQLite's sleep.

SQLite's busy handler sleeps up to 100 ms when the database has long been free. SQLite's own locks stay the authority:
who writes without a turn (a shell, the release before) costs time and nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from django.db.backends.sqlite3 import base

from inference_site.sqlite_in_turn.turn import Turn

WRITES = ("BEGIN IMMEDIATE", "INSERT", "UPDATE", "DELETE")


class Connection(sqlite3.Connection):
    """Has the turn from the statement that begins to write until no transaction is open any more."""

    turn: Turn | None = None

    def begin_turn(self, query: str) -> None:
        if self.turn and not self.in_transaction and query.lstrip().startswith(WRITES):
            self.turn.take()

    def end_turn(self) -> None:
        if self.turn and self.turn.is_mine and not self.in_transaction:
            self.turn.give_back()

    def commit(self) -> None:
        try:
            super().commit()
        finally:
            self.end_turn()

    def rollback(self) -> None:
        try:
            super().rollback()
        finally:
            self.end_turn()

    def close(self) -> None:
        super().close()
        if self.turn:
            self.turn.close()


class Cursor(base.SQLiteCursorWrapper):
    connection: Connection

    def execute(self, query: str, params: Any = None) -> Any:
        try:
            self.connection.begin_turn(query)
            return super().execute(query, params)
        finally:
            self.connection.end_turn()

    def executemany(self, query: str, param_list: Iterable[Any]) -> Any:
        try:
            self.connection.begin_turn(query)
            return super().executemany(query, param_list)
        finally:
            self.connection.end_turn()


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        return {**super().get_connection_params(), "factory": Connection}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        connection: Connection = super().get_new_connection(conn_params)
        # Empty for a database in memory. SQLite has followed links: all who open the file name one lock.
        if file := connection.execute("PRAGMA database_list").fetchone()[2]:
            connection.turn = _turn(f"{file}-turn")
        return connection

    def create_cursor(self, name: str | None = None) -> Cursor:
        cursor: Cursor = self.connection.cursor(factory=Cursor)
        return cursor


def _turn(path: str) -> Turn:
    try:
        return Turn(path)
    except OSError as error:
        raise sqlite3.OperationalError(f"unable to open {path}: {error.strerror}") from error
