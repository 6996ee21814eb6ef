"""The baseline of single requests: an aiohttp handler that reads the body and throws it away.

python -m tests.bench.discard PORT
"""

import sys

from aiohttp import web


async def discard(request: web.Request) -> web.Response:
    await request.read()
    return web.json_response({})


async def ready(_: web.Request) -> web.Response:
    return web.Response(text="Ready.\n")


def main() -> None:
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.add_routes([web.post("/v1/events", discard), web.get("/-/ready", ready)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)


if __name__ == "__main__":
    main()
