"""A credential that vendors repeat to us, and that slips into a broken configuration, is found nowhere."""

import asyncio
import base64
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.contract.test_commands import Process, command, run, started
from toolkit.redaction import MASK


@dataclass(frozen=True)
class Canary:
    """A secret, and the texts in which a vendor repeats it."""

    secret: str

    @property
    def pair(self) -> str:
        return f"somebody:{self.secret}"

    @property
    def told(self) -> str:
        """What the vendor says: the secret in every spelling."""
        starred = f"{self.secret[:6]}****{self.secret[-4:]}"
        escaped = quote(self.secret[:4]) + f"%{ord(self.secret[4]):02x}" + self.secret[5:]
        spelled = (self.secret, self.secret[:12], starred, escaped, _base64(self.secret), _base64(self.pair))
        return f"Incorrect API key provided: {', '.join(spelled)}"

    def traces(self, text: str) -> list[str]:
        """What of it is in a text."""
        marks = (self.secret[:6], self.secret[-6:], _base64(self.secret)[:12], _base64(self.pair)[12:24])
        return [mark for mark in marks if mark.lower() in text.lower()]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SHAPED = Canary("sk-canary-4711-Zx81pQ7m")
"""One that shows by its shape what it is: it is masked also where nobody told us of it."""
SHAPELESS = Canary("The-canary-Sings-at-dawn")

PLANTED = ("secret-file", "secret-file-with-a-user", "parameter", "header", "header-with-a-scheme", "query")
REPEATED: Mapping[str, Callable[[str], tuple[int, str, object]]] = {
    "in-a-message": lambda told: (401, "application/json", {"error": {"type": "invalid_request", "message": told}}),
    "in-a-code": lambda told: (401, "application/json", {"error": {"code": f"invalid_api_key_{told.split()[4]}"}}),
    "within-a-200": lambda told: (200, "application/json", {"ok": False, "error": told}),
    "in-json-in-json": lambda told: (401, "application/json", {"error": json.dumps({"invalid api key": told})}),
    "in-a-page": lambda told: (403, "text/html", f"<html><p>{told}</p></html>"),
    "in-plain-text": lambda told: (403, "text/plain", told),
}
"""Where the vendor repeats it and our reason quotes the vendor: status, content type, body."""
BESIDE: Mapping[str, Callable[[str], web.Response]] = {
    "in-a-header": lambda told: web.Response(status=401, headers={"X-Key": told}),
    "in-a-redirect": lambda told: web.Response(status=302, headers={"Location": f"/login?said={quote(told)}"}),
    "in-the-words-of-the-status": lambda told: web.Response(status=401, reason=told),
}
"""Where the vendor repeats it and we quote nothing."""
EVERYWHERE = (*REPEATED, *BESIDE)

PROVIDER = "providers:\n  - {name: a, url: 'http://x.example/', "
SLIP = SHAPED.secret
BROKEN = {
    "beside an unknown key": PROVIDER + f"headers: {{X-Api-Key: {SLIP}}}, zzz: 1}}",
    "as the user of a URL": f"providers: [{{name: a, url: 'http://{SLIP}@x.example/'}}]",
    "as the password in a URL": f"providers: [{{name: a, url: 'http://me:{SLIP}@x.example/'}}]",
    "in a URL of no scheme": f"providers: [{{name: a, url: 'htp://me:{SLIP}@x.example/?key={SLIP}'}}]",
    "in a URL that is no URL": f"providers: [{{name: a, url: 'me:{SLIP}@x.example'}}]",
    "in the place of its file": PROVIDER + f"secret_file: {SLIP}}}",
    "in the place of its file, deeper": PROVIDER + f"auth: {{secret_file: {SLIP}}}}}",
    "as the scheme": PROVIDER + f"auth: {{scheme: 'Bearer {SLIP}', secret_file: key}}}}",
    "as the header's name": PROVIDER + f"headers: {{X-Api-Key {SLIP}}}}}",
    "as a list": PROVIDER + f"headers: {{X-Api-Key: [{SLIP}]}}}}",
    "as an alias": PROVIDER + f"headers: {{X-Api-Key: *{SLIP}}}}}",
    "as a tag": PROVIDER + f"headers: {{X-Api-Key: !{SLIP}}}}}",
    "in quotes that don't end": PROVIDER + f'headers: {{X-Api-Key: "{SLIP}}}}}',
    "as a key": f"{SLIP}: 1",
    "as a duration": PROVIDER + f"interval: {SLIP}}}",
    "as a vendor": f"providers: [{{name: a, vendor: {SLIP}}}]",
    "as a pattern": f"usage: {{rules: [{{name: a, event: e, where: {{x: {{regex: '({SLIP}'}}}}}}]}}",
}
"""Configurations that are refused, and where the secret slipped in."""


@pytest.mark.parametrize(("canary", "style"), [(SHAPED, "logfmt"), (SHAPELESS, "json")], ids=["shaped", "shapeless"])
async def test_what_vendors_repeat_is_found_nowhere(tmp_path: Path, canary: Canary, style: str) -> None:
    (tmp_path / "key").write_text(canary.secret)
    (tmp_path / "pair").write_text(canary.pair)
    async with TestServer(vendor(canary)) as server:
        config = configuration(str(server.make_url("/")), canary)
        (tmp_path / "exporter.yml").write_text(yaml.safe_dump(config))
        with started("exporter", tmp_path, "--log.level=debug", f"--log.format={style}") as one:
            await asyncio.to_thread(until_saved, tmp_path)
            shown = await asyncio.to_thread(scraped, one, canary)
            refused = await asyncio.to_thread(reloaded, one, tmp_path, canary)
    log, held = one.log.read_text(), database(tmp_path)
    texts = {"the log": log, "the metrics": shown, "the database": held, **refused}
    assert not {place: found for place, text in texts.items() if (found := canary.traces(text) + SHAPED.traces(text))}
    assert log.count(MASK) >= len(PLANTED) * len(REPEATED)


def test_check_does_not_repeat_what_slipped_into_the_file(tmp_path: Path) -> None:
    (tmp_path / "exporter.yml").write_text(BROKEN["in the place of its file"])
    done = run("exporter", "check", "--config.file=exporter.yml", cwd=tmp_path)
    assert (done.returncode, SHAPED.traces(done.stdout + done.stderr)) == (1, [])


def test_classify_does_not_repeat_a_key_that_nobody_told_it(tmp_path: Path) -> None:
    answers = [answer(SHAPED.told) for answer in REPEATED.values()]
    lines = [json.dumps({"response": {"status": status, "body": body}}) for status, _, body in answers]
    asked = command("exporter", "classify")
    done = subprocess.run(asked, cwd=tmp_path, input="\n".join(lines), capture_output=True, text=True, check=True)
    assert SHAPED.traces(done.stdout + done.stderr) == []
    assert [MASK in line for line in done.stdout.splitlines()] == [True] * len(REPEATED)


# --- the run


def vendor(canary: Canary) -> web.Application:
    """A vendor that repeats what it was sent."""

    async def repeat(request: web.Request) -> web.Response:
        sent = " ".join([*request.headers.values(), *request.query.values()])
        assert canary.traces(sent), "the vendor was told nothing that it could repeat"
        place = request.match_info["place"]
        if place in BESIDE:
            return BESIDE[place](canary.told)
        status, kind, body = REPEATED[place](canary.told)
        return web.Response(status=status, content_type=kind, text=body if isinstance(body, str) else json.dumps(body))

    app = web.Application()
    app.add_routes([web.get("/{place}", repeat)])
    return app


def configuration(address: str, canary: Canary) -> dict[str, Any]:
    planted: Mapping[str, dict[str, Any]] = {
        "secret-file": {"auth": {"secret_file": "key"}},
        "secret-file-with-a-user": {"auth": {"scheme": "Basic", "secret_file": "pair"}},
        "parameter": {"auth": {"query": "key", "secret_file": "key"}},
        "header": {"headers": {"X-Api-Key": canary.secret}},
        "header-with-a-scheme": {"headers": {"Authorization": f"Bearer {canary.secret}"}},
        "query": {},
    }
    providers = [
        {"name": f"{plant}.{place}", "interval": "2s", "timeout": "2s", "url": f"{address}{place}", **planted[plant]}
        for plant in PLANTED
        for place in EVERYWHERE
    ]
    for provider in providers:
        provider["url"] += f"?api_key={canary.secret}" if provider["name"].startswith("query.") else ""
    return {"auth": {"bearer_token_files": ["key"]}, "providers": providers}


def until_saved(folder: Path) -> None:
    """Waits until the database knows every provider: then all were probed, judged and logged."""
    names = [f"{plant}.{place}" for plant in PLANTED for place in EVERYWHERE]
    for _ in range(300):
        held = database(folder)
        if all(name in held for name in names):
            return
        time.sleep(0.1)
    raise AssertionError([name for name in names if name not in held])


def database(folder: Path) -> str:
    """The bytes of the database and of what lies beside it."""
    return "".join(path.read_bytes().decode("latin-1") for path in (folder / "data").glob("exporter.db*"))


def scraped(one: Process, canary: Canary) -> str:
    """All that is shown to somebody who has the token, and to one who hasn't."""
    texts = [one.get("/metrics", Authorization=f"Bearer {canary.secret}x")[1]]
    for path, accept in (
        ("/", "text/html"),
        ("/metrics", "text/plain"),
        ("/metrics", "application/openmetrics-text;version=1.0.0"),
        ("/sd", "application/json"),
        *((f"/probe?provider={plant}.{place}&debug=true", "text/plain") for plant in PLANTED for place in EVERYWHERE),
    ):
        status, text = one.get(path, Authorization=f"Bearer {canary.secret}", Accept=accept)
        assert status == 200
        texts.append(text)
    return "".join(texts)


def reloaded(one: Process, folder: Path, canary: Canary) -> dict[str, str]:
    """What a reload of each broken configuration is answered with."""
    answers = {}
    for says, text in BROKEN.items():
        (folder / "exporter.yml").write_text(text)
        status, answers[says] = one.get("/-/reload", b"", Authorization=f"Bearer {canary.secret}")
        assert status == 500, says
    return answers
