"""The ledger's SQLite file: opening, schema, transactions, and what can be wrong with it.

Knows the tables and nothing of what is written into them.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from skyserve_llm.errors import BackendError

SCHEMA_VERSION = 1

_BUSY_SECONDS = 10.0

# Times are ISO 8601 in UTC and of one width, so that they sort as text; money is decimal text,
# because SQLite has no decimal and a float is no price.
_SCHEMA = """
CREATE TABLE deployment (
    id         TEXT PRIMARY KEY,
    service    TEXT NOT NULL,
    backend    TEXT NOT NULL CHECK (backend IN ('local', 'skypilot')),
    model      TEXT,
    created_at TEXT NOT NULL,
    ended_at   TEXT
) STRICT;
CREATE TABLE replica (
    deployment     TEXT NOT NULL REFERENCES deployment (id),
    replica_id     INTEGER NOT NULL,
    launched_at    TEXT NOT NULL,
    ended_at       TEXT,
    last_seen      TEXT NOT NULL,
    state          TEXT NOT NULL,
    infra          TEXT NOT NULL,
    instance_type  TEXT,
    accelerators   TEXT,
    spot           INTEGER NOT NULL CHECK (spot IN (0, 1)),
    price_per_hour TEXT,
    PRIMARY KEY (deployment, replica_id, launched_at)
) STRICT;
CREATE INDEX deployment_by_service ON deployment (service, backend, created_at);
"""


class LedgerFile:
    """An open ledger, made if it is not there.

    Raises:
        BackendError: here and in every method, for a file that cannot be used. Nothing in it
            is overwritten.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if sqlite3.sqlite_version_info < (3, 37):  # STRICT tables
            raise BackendError(
                f"the ledger needs SQLite 3.37, this Python has {sqlite3.sqlite_version}"
            )
        with self.clear_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Autocommit: transactions are begun by hand, and for writing from their first word.
            self.database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            with self.clear_errors():
                self._prepare()
        except BaseException:
            self.database.close()
            raise

    def close(self) -> None:
        self.database.close()

    def _prepare(self) -> None:
        database = self.database
        database.row_factory = sqlite3.Row
        database.execute("PRAGMA foreign_keys = ON")
        check = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok":
            raise sqlite3.DatabaseError(check)
        if self._version() != SCHEMA_VERSION:
            with self.transaction():  # another process may have come first: look again inside
                self._create()
        # Readers beside a writer. Stays in the file: if somebody is in the way now, the next
        # to open it will do it.
        with suppress(sqlite3.OperationalError):
            database.execute("PRAGMA journal_mode = WAL")

    def _create(self) -> None:
        version = self._version()
        if version == SCHEMA_VERSION:
            return
        if version > SCHEMA_VERSION:
            raise BackendError(
                f"the ledger {self._path} was written by a newer llmbudget (schema {version}, "
                f"this one reads {SCHEMA_VERSION})",
                hint="pip install --upgrade llmbudget",
            )
        if self.database.execute("SELECT 1 FROM sqlite_schema").fetchone():
            raise sqlite3.DatabaseError("it is some other program's database")
        for statement in _SCHEMA.split(";"):
            self.database.execute(statement)
        self.database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _version(self) -> int:
        return int(self.database.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing, and nobody else writes meanwhile."""
        with self.clear_errors():
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self.database.in_transaction:  # a full disk has ended it already
                    self.database.execute("ROLLBACK")
                raise
            self.database.execute("COMMIT")

    @contextmanager
    def clear_errors(self) -> Iterator[None]:
        """Whatever goes wrong inside becomes one clear line."""
        try:
            yield
        except sqlite3.OperationalError as error:  # locked, full, not to be opened
            raise BackendError(f"cannot use the ledger {self._path}: {error}") from error
        except (sqlite3.DatabaseError, OSError, ValueError, ArithmeticError) as error:
            raise BackendError(
                f"cannot read the ledger {self._path}: {error}",
                hint="nothing in it was changed; move it aside to start a new one",
            ) from error
