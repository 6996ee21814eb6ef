"""The least that a webhook receiver does: an aiohttp server that commits each body to SQLite before it answers.

python -m tests.bench.bare PORT DATABASE
"""

import sqlite3
import sys

from aiohttp import web


class Bare:
    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE IF NOT EXISTS bodies (id INTEGER PRIMARY KEY, body BLOB)")

    async def ready(self, _: web.Request) -> web.Response:
        return web.Response()

    async def webhook(self, request: web.Request) -> web.Response:
        content = await request.read()
        with self._database:
            self._database.execute("INSERT INTO bodies (body) VALUES (?)", (content,))
        return web.Response()


def main() -> None:
    port, path = sys.argv[1:]
    bare = Bare(path)
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.add_routes([web.get("/", bare.ready), web.post("/webhook/alertmanager", bare.webhook)])
    web.run_app(app, host="127.0.0.1", port=int(port), backlog=2048, access_log=None, print=lambda *_: None)


if __name__ == "__main__":
    main()
