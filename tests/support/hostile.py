"""Vendors that answer as none should: endless, broken, lying, of another protocol.

Raw sockets, for no HTTP server can be made to say such things. Each attack listens on a port of its own, so that it may
also speak first.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import trustme

MIB = 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ZIPPED = HEAD + b"Content-Encoding: gzip\r\n"
Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


# --- ways to answer


def says(*parts: bytes) -> Attack:
    """Reads the request, sends `parts` and closes."""

    async def attack(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.writelines(parts)
        await writer.drain()

    return attack


def pours(first: bytes, rest: bytes) -> Attack:
    """Reads the request, sends `first`, then `rest` for ever: a thousand times a second, for others need the machine."""

    async def attack(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        while True:
            writer.write(rest)
            await writer.drain()
            await asyncio.sleep(0.001)

    return attack


def drips(first: bytes, rest: bytes) -> Attack:
    """Reads the request, sends `first`, then a byte of `rest` each second."""

    async def attack(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        for byte in rest:
            writer.write(bytes([byte]))
            await asyncio.sleep(1)

    return attack


def greets(words: bytes) -> Attack:
    """Speaks first, whatever it is sent, and waits for the other side to leave."""

    async def attack(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        await reader.read()

    return attack


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads the request and resets the connection."""
    await reader.readuntil(b"\r\n\r\n")
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# --- what they say


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def bomb() -> tuple[bytes, bytes]:
    """The first megabyte of a gzip stream, and a kilobyte that adds one more each time it is repeated."""
    packer = zlib.compressobj(9, wbits=31)

    def megabyte() -> bytes:
        return packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)

    return megabyte(), megabyte()


def ramblings() -> bytes:
    """As many error texts as are read, each as long as one may be, of words that keep the patterns busy."""
    texts = [f"{number} {'api api access app ' * 60}" for number in range(60)]
    return json.dumps([{"error": [{"message": text} for text in texts[at : at + 20]]} for at in (0, 20, 40)]).encode()


BRACKETS = b"[" * 100_000
BOMB, MEGABYTE = bomb()
FINE = answer(b"{}")

ATTACKS: Mapping[str, Attack] = {
    "healthy": says(FINE),
    "endless-body": pours(HEAD + b"Content-Length: 10737418240\r\n\r\n", b" " * 65536),
    "endless-chunks": pours(CHUNKED, chunk(b" " * 65536)),
    "endless-chunk-extension": pours(CHUNKED + b"1;", b"a" * 65536),
    "endless-trailers": pours(CHUNKED + chunk(b"{}") + b"0\r\n", b"X-More: " + b"a" * 4000 + b"\r\n"),
    "endless-status-line": pours(b"HTTP/1.1 200 ", b"a" * 65536),
    "endless-header": pours(HEAD + b"X-Long: ", b"a" * 65536),
    "endless-headers": pours(HEAD, b"X-More: yes\r\n" * 10),
    "endless-continue": pours(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "endless-gzip": pours(ZIPPED + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(BOMB), chunk(MEGABYTE)),
    "dripping-head": drips(b"", FINE),
    "dripping-body": drips(HEAD + b"Content-Length: 1000\r\n\r\n", b" " * 1000),
    "gzip-bomb": says(ZIPPED + b"\r\n" + BOMB + MEGABYTE * 1000),
    "broken-gzip": says(answer(b"this is no gzip", "200 OK", "Content-Encoding: gzip")),
    "cut-gzip": says(answer(BOMB[: len(BOMB) // 2], "200 OK", "Content-Encoding: gzip")),
    "no-utf-8": says(answer(b'{"error": "\xff\xfe\xc3("}', "402 Payment Required")),
    "brackets": says(answer(BRACKETS)),
    "brackets-in-an-error": says(answer(b'{"error": ' + BRACKETS + b"]" * 100_000 + b"}", "402 Payment Required")),
    "errors-in-errors": says(answer(b'{"error":' * 900 + b"1" + b"}" * 900, "402 Payment Required")),
    "ramblings": says(answer(ramblings(), "402 Payment Required")),
    "nul-bytes": says(answer(b'{"error": "\x00\x00"}\x00', "402 Payment Required")),
    "nul-in-a-header": says(HEAD + b"X-Nul: a\x00b\r\nContent-Length: 2\r\n\r\n{}"),
    "500-headers": says(HEAD + b"".join(b"X-%d: yes\r\n" % one for one in range(500)) + b"Content-Length: 2\r\n\r\n{}"),
    "header-of-1-mb": says(HEAD + b"X-Long: " + b"a" * MIB + b"\r\nContent-Length: 2\r\n\r\n{}"),
    "redirect-loop": says(answer(b"", "302 Found", "Location: /")),
    "closed-without-a-word": says(),
    "closed-in-the-head": says(HEAD),
    "closed-in-the-body": says(HEAD + b"Content-Length: 1000\r\n\r\n{}"),
    "closed-in-a-chunk": says(CHUNKED + b"100\r\n{}"),
    "reset": resets,
    "length-too-short": says(HEAD + b"Content-Length: 2\r\n\r\n{} and more\r\n\r\n" + FINE),
    "two-lengths": says(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
    "length-that-is-none": says(HEAD + b"Content-Length: -2\r\n\r\n{}"),
    "chunk-size-that-is-none": says(CHUNKED + b"zz\r\n{}\r\n"),
    "status-999": says(answer(b"{}", "999 Request denied")),
    "status-99": says(answer(b"{}", "99 Low")),
    "switching-protocols": says(answer(b"", "101 Switching Protocols", "Upgrade: h2c", "Connection: Upgrade")),
    "http-0.9": says(b"<html>hello</html>"),
    "http-2": says(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"),
    "ssh": greets(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"),
    "smtp": greets(b"220 mail.example ESMTP\r\n"),
    "plain-where-tls-is-asked": greets(FINE),
    "tls-where-plain-is-asked": says(FINE),
    "self-signed": says(FINE),
}
"""How each answers. `healthy` is the neighbour whom the others must not disturb."""
ASKED_BY_TLS = frozenset({"plain-where-tls-is-asked", "self-signed"})
SPEAKS_TLS = frozenset({"tls-where-plain-is-asked", "self-signed"})


# --- the servers


class Vendors:
    """Running vendors: where each is, and how often it was asked."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._ports: dict[str, int] = {}
        self._talks: set[asyncio.Task[None]] = set()

    def url(self, name: str) -> str:
        """Where to ask the vendor `name`."""
        return f"{'https' if name in ASKED_BY_TLS else 'http'}://127.0.0.1:{self._ports[name]}/"

    async def start(self, name: str, tls: ssl.SSLContext) -> asyncio.Server:
        """A server of one attack, on a free port."""

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.asked[name] += 1
            with contextlib.suppress(OSError, EOFError):
                try:
                    await ATTACKS[name](reader, writer)
                    writer.close()
                finally:
                    if not writer.is_closing():
                        writer.transport.abort()
                    await writer.wait_closed()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(talk(reader, writer))
            self._talks.add(task)
            task.add_done_callback(self._talks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls if name in SPEAKS_TLS else None)
        self._ports[name] = server.sockets[0].getsockname()[1]
        return server

    async def hang_up(self) -> None:
        """Ends every conversation."""
        for task in self._talks:
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)


@contextlib.asynccontextmanager
async def vendors(folder: Path, *names: str) -> AsyncIterator[Vendors]:
    """The named vendors, listening; `folder` takes the certificate that nobody has signed for."""
    running, tls = Vendors(), self_signed(folder)
    async with AsyncExitStack() as exits:
        for name in names:
            server = await running.start(name, tls)
            exits.callback(server.close)
        exits.push_async_callback(running.hang_up)
        yield running


def self_signed(folder: Path) -> ssl.SSLContext:
    """The server's side of TLS with a certificate that is its own authority."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "self-signed.pem")
    authority.private_key_pem.write_to_path(folder / "self-signed.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "self-signed.pem", folder / "self-signed.key")
    return context
