"""Keeps secrets and control characters out of whatever leaves the process as text."""

import base64
import html
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote, urlsplit

MASK = "***"
SHORTEST_SECRET = 6
"""A known value shorter than this many characters is not masked: it would mask ordinary words."""

_PATTERNS = (
    (
        # a word in small letters after a blank is a word: "token expired", "Basic authentication"
        re.compile(r"(?i)(?<![a-z0-9])(bearer|basic|token|api[-_]?key)([=:]|:?\s+(?!(?-i:[a-z]+)\b))[\w.~+/=-]{6,}"),
        rf"\1\2{MASK}",
    ),
    # a password may be a word, and stand behind a prefix: PGPASSWORD=correcthorse
    (re.compile(r"(?i)((?:passw(?:or)?d|secret|(?<![a-z0-9])pwd)\s*=(?!=)\s*[\"'`]?)[^\s\"'`,;&]+"), rf"\1{MASK}"),
    (re.compile(r"://[^/\s@]+@"), f"://{MASK}@"),
    # a password with a slash in it; not the path behind a port
    (re.compile(r"://[^/\s@:]{0,256}:(?!\d{1,5}/)[^\s@]{1,256}@"), f"://{MASK}@"),
    (re.compile(r"(?i)(hooks\.slack\.com/[a-z]+/)[\w/-]+"), rf"\1{MASK}"),
    (
        re.compile(r"(?i)([\"'][\w-]*(?:token|secret|passw(?:or)?d|pwd|api[-_]?key)[\"']\s*:\s*[\"'])[^\"']+"),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)([?&](?:[\w-]*(?:token|key|secret|password|signature))=)[^&\s\"']+"), rf"\1{MASK}"),
)
_SHAPES = (
    # after a word that announces it: "Incorrect API key provided: 4f8a9c", "token 'abc123' has expired"
    (
        re.compile(
            r"(?i)(?<![a-z0-9])((?:key|token|secret|passw(?:or)?d|pwd)s?"
            r"(?: (?:provided|given|used|supplied|sent|is|was|value))*"
            r"[\s:=(\"'`]+)(?=[\w-]*\d)(?=[\w-]*[a-z])[\w.~+/=-]{6,}"
        ),
        rf"\1{MASK}",
    ),
    # what is set to one, slashes and all: "aws_secret_access_key = wJalrX/K7"
    (
        re.compile(
            r"(?i)(?<![a-z0-9])((?:key|token)\s*=(?!=)\s*[\"'`]?)"
            r"(?=[\w.~+/=-]{0,80}\d)(?=[\w.~+/=-]{0,80}[a-z])[\w.~+/=-]{6,}"
        ),
        rf"\1{MASK}",
    ),
    # with a beginning that vendors give their keys, such as sk-, sk_live_, ghp_, xoxb-, AKIA, AIza; and JSON web tokens
    (
        re.compile(
            r"(?<![a-zA-Z0-9])(?:[sprw]k|gh[oprsu]|github_pat|glpat|xox[a-z]|key|hf|pat)[-_](?=[\w-]{0,40}\d)[\w-]{8,}"
        ),
        MASK,
    ),
    (re.compile(r"(?<![a-zA-Z0-9])(?:AKIA|ASIA|AIza|ya29\.|SG\.|eyJ)[\w.-]{12,}"), MASK),
    (re.compile(r"(?<![a-zA-Z0-9])npm_[a-zA-Z0-9]{20,}"), MASK),
    # partly hidden already: its ends are ends of a secret
    (re.compile(r"(?<![\w.-])[\w.-]*(?:\*{2,}|•{2,}|(?<=\w)(?:\.{3}|…)(?=\w))[\w.*•-]*"), MASK),
    # letters and digits in turns, over twenty characters and more
    (re.compile(r"\b(?=(?:[a-z_]*\d+[a-z_]){2})\w{20,}", re.IGNORECASE), MASK),
)
_MAIL = re.compile(r"[\w.+%-]{1,64}(?:@|%40)(?:[\w-]{1,63}\.){1,8}[a-zA-Z]{2,24}")
_CARD = re.compile(r"(?<![\d.])[2-6](?:[ -]?\d){12,18}(?!\d)")
_IBAN = re.compile(r"(?i)(?<![a-z0-9])[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,3})?(?![a-z0-9])")
_FEWEST_DIGITS_OF_AN_IBAN = 8
"""Fewer, and it is words: one in 97 has the right check digits."""
_KEPT_OF_A_SECRET = 8
"""A token that begins with this many characters of a secret is taken for it: vendors cut keys short, or star them."""
_MOST_LAYERS = 3
"""An error in JSON in a redirect's query is encoded three times."""
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\([\"'/\\])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Redactor:
    """Masks the values it was told of and what looks like a credential."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """`secrets`: values that must never appear; longer ones are masked first."""
        known = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        ordered = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        """`text` with every known secret and every credential-shaped part replaced by `***`."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


def masked(text: str) -> str:
    """`text`, which people or strangers wrote, without what has the shape of a credential."""
    text = Redactor()(text)
    for pattern, replacement in _SHAPES:
        text = pattern.sub(replacement, text)
    return text


def impersonal(text: str) -> str:
    """`text` without mail addresses, and without the numbers of `unnumbered`."""
    return unnumbered(unmailed(text))


def unmailed(text: str) -> str:
    """`text` without mail addresses, those in links included."""
    return _MAIL.sub(MASK, text)


def unnumbered(text: str) -> str:
    """`text` without numbers of payment cards and of bank accounts: those with the right check digits, so that an
    order's number stays."""
    text = _CARD.sub(lambda found: _without(_is_card, found[0]), text)
    return _IBAN.sub(lambda found: _without(_is_iban, found[0]), text)


def _without(is_number: Callable[[str], bool], text: str) -> str:
    """`text` without the number that it begins with: words and other numbers may follow in its groups."""
    for end in range(len(text), 0, -1):
        if text[end : end + 1] in ("", " ", "-") and is_number(re.sub("[ -]", "", text[:end])):
            return MASK + text[end:]
    return text


def _is_card(digits: str) -> bool:
    """By its length and Luhn's sum."""
    doubled = (sum(divmod(int(digit) * 2, 10)) for digit in digits[-2::-2])
    return len(digits) >= 13 and (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0


def _is_iban(account: str) -> bool:
    """By its length and its check digits, ISO 13616."""
    digits = sum(map(str.isdecimal, account))
    if not 15 <= len(account) <= 34 or digits < _FEWEST_DIGITS_OF_AN_IBAN:
        return False
    return int("".join(str(int(one, 36)) for one in account[4:] + account[:4])) % 97 == 1


def quoted(text: str, secrets: Iterable[str] = ()) -> str:
    """What a stranger said, fit to be repeated.

    Without `secrets` in any encoding, whole or cut short after some characters, and without what has the shape of a
    credential. Percent, JSON and HTML encoding are undone, for something may hide behind them.
    """
    for _ in range(_MOST_LAYERS):
        text = _decoded(text)
    spelled = sorted({one for secret in secrets for one in _spellings(secret)}, key=len, reverse=True)
    if spelled:
        text = re.sub("|".join(map(_known, spelled)), MASK, text, flags=re.IGNORECASE)
    return masked(text)


def _decoded(text: str) -> str:
    unescaped = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)
    return unquote(html.unescape(unescaped))


def _spellings(secret: str) -> Iterator[str]:
    """The secret as it is, and in base64."""
    if len(secret) >= SHORTEST_SECRET:
        encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
        yield from (secret, encoded, encoded.translate(str.maketrans("+/", "-_")))


def _known(secret: str) -> str:
    """The pattern of a secret, and of a token that begins like it when it is long enough to be told by that."""
    if len(secret) < _KEPT_OF_A_SECRET + 4:
        return re.escape(secret)
    return rf"{re.escape(secret)}|{re.escape(secret[:_KEPT_OF_A_SECRET])}[^\s\"'<>]*"


def secret_parts(url: str) -> frozenset[str]:
    """The parts of an Apprise URL that may hold a secret: the whole, user, password, path segments, query values.

    The scheme and a host that looks like an address stay readable; a token in the host's place (`slack://TOKEN/...`)
    counts as a secret.
    """
    split = urlsplit(url)
    host = split.hostname or ""
    parts = {url, split.username or "", split.password or "", *split.path.split("/")}
    parts |= {value for pair in split.query.split("&") for value in pair.partition("=")[2:]}
    if "." not in host and host != "localhost":
        parts |= {host, split.netloc.rpartition("@")[2]}
    return frozenset(part for raw in parts for part in (raw, unquote(raw)) if len(part) >= SHORTEST_SECRET)


def printable(text: str) -> str:
    """`text` with control and bidirectional characters written as escapes, so that no log line or page is forged."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)
