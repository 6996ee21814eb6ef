"""A thousand vendors in one process, that cost little: whatever is asked over HTTP, they answer well and hang up.

python -m tests.bench.targets PORT [CERTIFICATE KEY]

The first part of a path names who asks: /ours/17. `/counts` tells how often each asked.
"""

import asyncio
import json
import ssl
import sys
from collections import Counter
from typing import cast

ANSWER = b'{"account": "acct_1F4711", "plan": "pro", "status": "active", "balance": 1234}'
asked: Counter[str] = Counter()


class Vendor(asyncio.Protocol):
    """One connection: a request that fits one read, an answer, the end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        who = data.split(b" ", 2)[1].split(b"/")[1].decode()
        asked[who] += 1
        body = json.dumps(asked).encode() if who == "counts" else ANSWER
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
        self._transport.write(head.encode() + b"\r\n\r\n" + body)
        self._transport.close()


async def serve(port: int, tls: ssl.SSLContext | None) -> None:
    server = await asyncio.get_running_loop().create_server(Vendor, "127.0.0.1", port, ssl=tls, backlog=1024)
    await server.serve_forever()


def main() -> None:
    port, *pair = sys.argv[1:]
    tls = None
    if pair:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*pair)
    asyncio.run(serve(int(port), tls))


if __name__ == "__main__":
    main()
