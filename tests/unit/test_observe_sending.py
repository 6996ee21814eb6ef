"""From an observation to the exporter: what arrives, and that the program never notices when it doesn't."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.observing import PATIENCE, QUICK, Exporter, observed, served, silent, until
from tests.support.ports import free_ports
from tocsin_observe import Limits, Observer, Statistics


def accounted(statistics: Statistics) -> bool:
    """Whether everything that was observed ended somewhere, or waits."""
    ends = {name: count for name, count in asdict(statistics).items() if name not in {"observed", "failed_posts"}}
    return bool(sum(ends.values()) == statistics.observed)


def test_what_is_observed_arrives() -> None:
    exporter = Exporter(token="good")
    with observed(exporter) as observer:
        observer.observe("mailgun", status=401, headers={"Retry-After": "3"}, body=b"no", operation="send", seconds=0.5)
        observer.observe("stripe", error="timeout")
        assert observer.flush(PATIENCE)
        assert observer.statistics().delivered == 2
    assert exporter.observations == [
        {
            "provider": "mailgun",
            "status": 401,
            "headers": {"retry-after": "3"},
            "body": "no",
            "operation": "send",
            "seconds": 0.5,
        },
        {"provider": "stripe", "error": "timeout"},
    ]


def test_what_comes_close_together_goes_in_one_post() -> None:
    exporter = Exporter()
    with observed(exporter, replace(QUICK, linger=PATIENCE, batch=10)) as observer:
        for number in range(25):
            observer.observe("mailgun", status=401, operation=str(number))
        until(lambda: observer.statistics().delivered == 20, "two full batches went without waiting")
        assert observer.statistics().waiting == 5
        assert observer.flush(PATIENCE)
    assert exporter.posts == 3
    assert [one["operation"] for one in exporter.observations] == [str(number) for number in range(25)]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_what_the_exporter_does_not_take_is_tried_again_in_its_order(status: int) -> None:
    exporter = Exporter(status, status, status)
    with observed(exporter) as observer:
        for number in range(10):
            observer.observe("mailgun", status=401, operation=str(number))
        until(lambda: observer.statistics().delivered == 10, "the exporter took them")
        assert observer.statistics().failed_posts == 3
        assert accounted(observer.statistics())
    assert [one["operation"] for one in exporter.observations] == [str(number) for number in range(10)]


@pytest.mark.parametrize("status", [301, 400, 401, 413])
def test_what_the_exporter_refuses_is_not_tried_again(status: int) -> None:
    exporter = Exporter(status)
    with observed(exporter) as observer:
        observer.observe("mailgun", status=401, operation="first")
        assert observer.flush(PATIENCE)
        observer.observe("mailgun", status=401, operation="second")
        assert observer.flush(PATIENCE)
        assert (observer.statistics().refused, observer.statistics().delivered) == (1, 1)
    assert [one["operation"] for one in exporter.observations] == ["second"]


def test_the_token_is_read_anew_when_it_was_rotated(tmp_path: Path) -> None:
    exporter, file = Exporter(token="new"), tmp_path / "token"
    file.write_text("old\n")
    with (
        served(exporter.application()) as port,
        Observer(f"http://127.0.0.1:{port}", token_file=str(file), limits=QUICK) as observer,
    ):
        observer.observe("mailgun", status=401)
        assert observer.flush(PATIENCE)
        file.write_text("new\n")
        observer.observe("mailgun", status=401)
        assert observer.flush(PATIENCE)
        assert (observer.statistics().refused, observer.statistics().delivered) == (1, 1)


MISSPELT = "no provider is named 'mial'; did you mean 'mail'?"
REJECTS: list[tuple[str, object, int]] = [
    ("one of them", {"observations": 1, "rejected": 1, "rejects": [{"position": 2, "reason": MISSPELT}]}, 1),
    ("more than there were", {"rejected": 99, "rejects": [{"position": 1, "reason": MISSPELT}]}, 2),
    ("fewer than none", {"rejected": -1, "rejects": [{"position": 1, "reason": MISSPELT}]}, 0),
    ("none", {"observations": 2, "rejected": 0, "rejects": []}, 0),
    ("some, and does not say why", {"rejected": 2}, 0),
    ("as many as no number can say", {"rejected": float("inf"), "rejects": [{"reason": MISSPELT}]}, 0),
    ("something that is none of ours", ["hello"], 0),
]


@pytest.mark.parametrize(("says", "refused"), [row[1:] for row in REJECTS], ids=[row[0] for row in REJECTS])
def test_what_the_exporter_rejects_of_a_batch_counts_as_refused(says: object, refused: int) -> None:
    exporter = Exporter()
    exporter.says = says
    with observed(exporter, replace(QUICK, linger=PATIENCE)) as observer:
        observer.observe("mail", status=401)
        observer.observe("mial", status=401)
        assert observer.flush(PATIENCE)
        statistics = observer.statistics()
    assert (statistics.refused, statistics.delivered) == (refused, 2 - refused)
    assert accounted(statistics)


def test_each_reason_for_a_rejection_is_told_once_and_masked(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Exporter()
    reasons = [MISSPELT, MISSPELT, "password=canary-4711 \n" + "x " * 500, MISSPELT]
    with observed(exporter) as observer:
        for number, reason in enumerate(reasons, start=1):
            exporter.says = {"rejected": 1, "rejects": [{"position": 1, "reason": reason}]}
            observer.observe("mial", status=401)
            until(lambda number=number: observer.statistics().refused == number, "it was rejected")  # type: ignore[misc]  # a default binds the loop's value
    first, second = (record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)
    assert first.endswith(f" rejects observations: {MISSPELT}")
    assert "canary" not in second
    assert "\n" not in second
    assert len(second) < 400


TOKEN_FILES = [
    ("a path", "/nowhere/2026/gone-4711-token", "token file /nowhere/2026/gone-4711-token: No such file or directory"),
    ("a token in its place", "s3cr3t-c4n4ry-0123456789", "token file ***: No such file or directory"),
]


@pytest.mark.parametrize(("file", "says"), [row[1:] for row in TOKEN_FILES], ids=[row[0] for row in TOKEN_FILES])
def test_a_token_file_that_is_missing_is_named_in_the_log(
    file: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Observer(f"http://127.0.0.1:{free_ports(1)[0]}", token_file=file, limits=QUICK) as observer:
        observer.observe("mailgun", status=401)
        until(lambda: says in caplog.text, "the log names the file")
    assert "c4n4ry" not in caplog.text


# --- an exporter in trouble ------------------------------------------------------------------------------------------


def test_more_than_can_wait_pushes_out_the_oldest() -> None:
    exporter = Exporter()
    exporter.held.clear()
    with observed(exporter, replace(QUICK, waiting=20, batch=5)) as observer:
        observer.observe("mailgun", status=401, operation="first")
        until(lambda: exporter.posts == 1, "the first post is on its way")
        for number in range(100):
            observer.observe("mailgun", status=401, operation=str(number))
        assert observer.statistics().waiting == 20
        assert observer.statistics().dropped == 81
        exporter.held.set()
        assert observer.flush(PATIENCE)
        assert accounted(observer.statistics())
    assert [one["operation"] for one in exporter.observations] == ["first", *(str(number) for number in range(81, 100))]


def test_a_batch_that_comes_back_keeps_the_bound() -> None:
    exporter = Exporter(*[503] * 3)
    exporter.held.clear()
    with observed(exporter, replace(QUICK, waiting=10, batch=10)) as observer:
        for number in range(10):
            observer.observe("mailgun", status=401, operation=str(number))
        until(lambda: exporter.posts == 1, "a full batch is on its way")
        observer.observe("mailgun", status=401, operation="late")
        exporter.held.set()
        until(lambda: observer.statistics().waiting == 0, "all is sent or dropped")
        assert observer.statistics().waiting + observer.statistics().delivered <= 10
        assert accounted(observer.statistics())


def test_what_waited_too_long_is_not_told_as_of_now() -> None:
    exporter = Exporter(*[503] * 1000)
    with observed(exporter, replace(QUICK, longest_wait=0.2)) as observer:
        observer.observe("mailgun", status=401)
        until(lambda: observer.statistics().expired == 1, "it expired")
        assert accounted(observer.statistics())
    assert exporter.observations == []


def hang(connection: socket.socket) -> None:
    connection.settimeout(PATIENCE)
    while connection.recv(65536):
        pass


def hang_up(connection: socket.socket) -> None:
    connection.recv(65536)


def talk_nonsense(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"hello\r\n\r\n")


@contextmanager
def exporter_that(trouble: str) -> Iterator[str]:
    """The URL of an exporter in trouble."""
    behaviours = {"hangs": hang, "hangs up": hang_up, "talks nonsense": talk_nonsense}
    if trouble in behaviours:
        with silent(behaviours[trouble]) as place:
            yield f"http://{place}"
    elif trouble == "has no name":
        yield "http://exporter.invalid:9970"
    elif trouble == "speaks no TLS":
        with silent(talk_nonsense) as place:
            yield f"https://{place}"
    else:
        yield f"http://127.0.0.1:{free_ports(1)[0]}"


TROUBLES = ["is down", "hangs", "hangs up", "talks nonsense", "has no name", "speaks no TLS"]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_program_goes_on_while_the_exporter(trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    limits = replace(QUICK, post_timeout=0.2)
    with exporter_that(trouble) as url, Observer(url, token="canary-token", limits=limits) as observer:
        for _ in range(100):
            observer.observe("mailgun", status=401, body=b"unpaid")
        until(lambda: observer.statistics().failed_posts >= 3, "it was tried several times")
        assert not observer.flush(0.1)
        assert observer.statistics().waiting == 100
        assert accounted(observer.statistics())
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1, "said once, not for each attempt"
    assert "canary-token" not in caplog.text


def test_the_log_says_when_the_exporter_is_well_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tocsin_observe")
    with observed(Exporter(503, 503)) as observer:
        observer.observe("mailgun", status=401)
        until(lambda: observer.statistics().delivered == 1, "it was delivered")
        until(lambda: "again" in caplog.text, "the log says so")
    told = [record.getMessage().partition(" at ")[2].partition(" ")[2] for record in caplog.records]
    assert told == ["does not take observations: it answered 503", "takes observations again"]


def test_a_token_that_no_header_can_hold_is_not_told_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Observer(f"http://127.0.0.1:{free_ports(1)[0]}", token="canary\r\nX: y", limits=QUICK) as observer:
        observer.observe("mailgun", status=401)
        until(lambda: observer.statistics().failed_posts >= 1, "it was tried")
    assert "canary" not in caplog.text


# --- wrong arguments -------------------------------------------------------------------------------------------------


class Hostile:
    """Raises whatever is done with it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("canary")

    def __str__(self) -> str:
        raise RuntimeError("canary")


ARGUMENTS: list[tuple[str, dict[str, Any]]] = [
    ("nothing", {}),
    ("a status that is text", {"status": "401"}),
    ("a status that is none", {"status": 1000}),
    ("an unknown reason", {"error": "bored"}),
    ("a provider that is no text", {"provider": 7, "status": 401}),
    ("headers that are a list", {"status": 401, "headers": [("a", "b")]}),
    ("headers that raise", {"status": 401, "headers": Hostile()}),
    ("a value that raises", {"status": 401, "headers": {"Server": Hostile()}}),
    ("an operation that raises", {"status": 401, "operation": Hostile()}),
]


@pytest.mark.parametrize("arguments", [row[1] for row in ARGUMENTS], ids=[row[0] for row in ARGUMENTS])
def test_wrong_arguments_are_counted_and_never_raise(
    arguments: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    exporter = Exporter()
    with observed(exporter) as observer:
        observer.observe(**{"provider": "mailgun", **arguments})
        assert observer.statistics().unusable == 1
        assert accounted(observer.statistics())
    assert exporter.observations == []
    assert "canary" not in caplog.text


def test_a_body_that_is_no_text_leaves_the_rest() -> None:
    exporter = Exporter()
    with observed(exporter) as observer:
        observer.observe("mailgun", status=401, body={"a": 1}, seconds="long")  # type: ignore[arg-type]  # what it's about
        assert observer.flush(PATIENCE)
    assert exporter.observations == [{"provider": "mailgun", "status": 401, "headers": {}, "body": ""}]


SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("no URL", {"url": None}),
    ("an empty URL", {"url": ""}),
    ("a URL that is none", {"url": "127.0.0.1:9970"}),
    ("a URL that is no text", {"url": 7}),
    ("a port that is none", {"url": "http://host:port"}),
    ("providers that are a list", {"url": "http://127.0.0.1:1", "providers": ["api.mailgun.net"]}),
]


@pytest.mark.parametrize("settings", [row[1] for row in SETTINGS], ids=[row[0] for row in SETTINGS])
def test_wrong_settings_are_logged_and_never_raise(settings: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tocsin_observe")
    with Observer(**settings) as observer:
        assert observer.call("GET", "api.mailgun.net", None) is None
        assert [record.name for record in caplog.records] == ["tocsin_observe"]
        if settings["url"] != "http://127.0.0.1:1":
            observer.observe("mailgun", status=401)
            assert observer.flush()
            assert observer.statistics().observed == 0


def test_the_environment_says_where_and_what(tmp_path: Path) -> None:
    exporter = Exporter(token="from-a-file")
    (tmp_path / "token").write_text("from-a-file\n")
    with served(exporter.application()) as port:
        environment = {
            "TOCSIN_OBSERVE_URL": f"http://127.0.0.1:{port}",
            "TOCSIN_OBSERVE_TOKEN_FILE": str(tmp_path / "token"),
            "TOCSIN_OBSERVE_PROVIDERS": "api.stripe.com=stripe, api.mailgun.net = mailgun,,nonsense",
        }
        with Observer.from_environment(environment, {"api.twilio.com": "twilio"}) as observer:
            for host in ("API.stripe.com", "api.mailgun.net", "api.twilio.com", "nonsense", "example.com"):
                call = observer.call("GET", host, 443)
                if call is not None:
                    call.answered(401, {}, None)
            assert observer.flush(PATIENCE)
    assert [one["provider"] for one in exporter.observations] == ["stripe", "mailgun", "twilio"]


def test_a_port_tells_two_providers_of_one_host_apart() -> None:
    with Observer("http://127.0.0.1:1", providers={"localhost:8080": "mailgun", "localhost": "stripe"}) as observer:
        calls = [observer.call("GET", "localhost", port) for port in (8080, 8081, None)]
        assert [call and call.provider for call in calls] == ["mailgun", "stripe", "stripe"]


# --- threads, forks and ends -----------------------------------------------------------------------------------------


def test_many_threads_lose_nothing() -> None:
    exporter = Exporter()
    with observed(exporter, replace(QUICK, waiting=10_000)) as observer:

        def work() -> None:
            for _ in range(200):
                observer.observe("mailgun", status=200)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert observer.flush(PATIENCE)
        assert observer.statistics().delivered == 1600
    assert len(exporter.observations) == 1600


def test_a_signal_handler_may_observe_while_its_thread_observes() -> None:
    exporter = Exporter()
    with observed(exporter, replace(QUICK, waiting=100_000)) as observer:
        before = signal.signal(signal.SIGALRM, lambda *_: observer.observe("mailgun", status=401))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            for _ in range(5000):
                observer.observe("mailgun", status=401)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert observer.flush(PATIENCE)
    assert len(exporter.observations) > 5000
    assert "tocsin-observe" not in {thread.name for thread in threading.enumerate()}


def test_nothing_starts_before_the_first_observation_and_nothing_runs_after_close() -> None:
    names = {thread.name for thread in threading.enumerate()}
    observer = Observer("http://127.0.0.1:1", limits=QUICK)
    assert {thread.name for thread in threading.enumerate()} == names
    observer.observe("mailgun", status=401)
    observer.close(PATIENCE)
    assert "tocsin-observe" not in {thread.name for thread in threading.enumerate()}
    observer.observe("mailgun", status=401)
    assert observer.statistics().dropped == 2


def run(program: str, url: str) -> subprocess.CompletedProcess[str]:
    """Runs a program that has `observer`, with 401s of mailgun to tell; its first argument is the exporter's URL."""
    path = os.pathsep.join(part for part in sys.path if part)
    head = "import os, sys\nfrom tocsin_observe import Limits, Observer\nobserver = Observer(sys.argv[1])\n"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", head + textwrap.dedent(program), url],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_the_end_of_a_program_sends_what_waits() -> None:
    exporter = Exporter()
    with served(exporter.application()) as port:
        done = run("observer.observe('mailgun', status=401)", f"http://127.0.0.1:{port}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(exporter.observations) == 1


def test_a_crash_sends_what_waits() -> None:
    exporter = Exporter()
    with served(exporter.application()) as port:
        done = run("observer.observe('mailgun', status=401)\nraise SystemExit(3)", f"http://127.0.0.1:{port}")
    assert done.returncode == 3
    assert len(exporter.observations) == 1


@pytest.mark.parametrize("trouble", ["is down", "hangs"])
def test_the_end_of_a_program_is_not_kept_waiting_while_the_exporter(trouble: str) -> None:
    # the post alone would take a minute: that the program ends within PATIENCE shows that nobody waits for it
    with exporter_that(trouble) as url:
        program = "observer.close(); observer = Observer(sys.argv[1], limits=Limits(post_timeout=60))\n"
        done = run(program + "observer.observe('mailgun', status=401)", url)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


FORK = """
observer.observe('mailgun', status=401, operation='parent, before')
held = observer._sender._changed
held.acquire()  # as another thread may hold it at that moment
child = os.fork()
if child == 0:
    observer.observe('mailgun', status=401, operation='child')
    os._exit(0 if observer.flush(20) and observer.statistics().observed == 1 else 1)
held.release()
_, status = os.waitpid(child, 0)
observer.observe('mailgun', status=401, operation='parent, after')
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_child_sends_its_own_and_its_parent_sends_the_rest() -> None:
    exporter = Exporter()
    with served(exporter.application()) as port:
        done = run(FORK, f"http://127.0.0.1:{port}")
    assert done.returncode == 0, done.stderr
    told = sorted(one["operation"] for one in exporter.observations)
    assert told == ["child", "parent, after", "parent, before"]


def test_a_program_without_a_listed_host_pays_nothing() -> None:
    done = run(
        "assert observer.call('GET', 'example.com', None) is None; print(len(sys.modules.keys() & {'requests', 'httpx', 'aiohttp'}))",
        "http://127.0.0.1:1",
    )
    assert (done.returncode, done.stdout) == (0, "0\n")


def test_successes_are_sampled_and_refusals_limited_by_default() -> None:
    exporter = Exporter()
    limits = Limits(success_interval=3600, refusals_per_second=0.001, linger=0.01)
    with observed(exporter, limits) as observer:
        for _ in range(50):
            observer.observe("mailgun", status=200, operation="send")
            observer.observe("mailgun", status=401, operation="send")
        assert observer.flush(PATIENCE)
        statistics = observer.statistics()
    assert (statistics.sampled_out, statistics.rate_limited, statistics.delivered) == (49, 49, 2)
    assert sorted(one["status"] for one in exporter.observations) == [200, 401]


def test_the_statistics_are_a_value() -> None:
    with Observer("http://127.0.0.1:1") as observer:
        assert json.dumps(asdict(observer.statistics()))
        with pytest.raises(AttributeError):
            observer.statistics().observed = 7  # type: ignore[misc]  # what it's about
