"""A durable database behind one door: SQLite in a file, or PostgreSQL where there are replicas."""

from toolkit.storage.database import Database, migrate
from toolkit.storage.sqlite import lock_database
from toolkit.storage.unavailable import StorageUnavailable
from toolkit.storage.urls import storage_url

__all__ = ["Database", "StorageUnavailable", "lock_database", "migrate", "storage_url"]
