"""Takes credentials out of whatever leaves the program. Pure.

In doubt a text is masked: a request id lost costs nothing, a key that leaves the program does. Words and machine codes
(`invalid_api_key`, `Your card was declined`) stay, as they tell the cause.

It runs in the caller's thread, so each pattern takes linear time: a repetition never begins inside itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Union

MASK = "***"
MOST_BODY_BYTES = 4096
MOST_READ = 8192
"""Characters of a body that are looked at: masks make it shorter, so more is read than is sent."""
MOST_HEADERS = 30
MOST_HEADER = 200
MOST_REASON = 300

_NAME = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret|token|(?:api|access|private)[_-]?key|auth|authorization|credentials?|cookie)"
)
_FIELD = rf"[\w.-]{{0,40}}(?:{_NAME}|signature|session|jwt|pin|otp|cvc|cvv)"
"""`token` and `access_token`, but not `token_error`."""
_SCHEMES = frozenset({"basic", "bearer", "digest", "negotiate", "ntlm", "oauth", "apikey", "hawk", "dpop", "hoba"})
_RUN = r"[A-Za-z0-9_+/=~*-]"

Replacement = Union[str, Callable[["re.Match[str]"], str]]


def _value(found: re.Match[str]) -> str:
    """After `token ` or `Bearer ` a word may follow as well as a secret: "token expired"."""
    words = re.findall(r"[A-Za-z]+", found[2])
    plain = not re.search(r"[\d+=*~]", found[2]) and not any(_is_random(word) for word in words)
    return found[0] if plain else found[1] + MASK


def _run(found: re.Match[str]) -> str:
    return MASK if _is_secret(found[0]) else found[0]


def _is_secret(run: str) -> bool:
    """Whether a long run of characters is no word and no machine code. A path with numbers counts as one: ids."""
    digits = sum(character.isdigit() for character in run)
    if 3 <= digits < len(run) or ("+" in run and len(run) >= 20):
        return True
    return any(_is_random(piece) or len(piece) >= 64 for piece in re.split(r"[^A-Za-z0-9]", run))


def _is_random(word: str) -> bool:
    """Whether upper and lower case mix as in no word and no camelCase, or a digit stands before a letter."""
    if len(word) < 10:
        return False
    capitals = sum(character.isupper() for character in word)
    rises = len(re.findall(r"[a-z][A-Z]", word))
    return (rises > 1 and capitals > len(word) * 0.3) or re.search(r"\d[A-Za-z]", word) is not None


_PATTERNS: tuple[tuple[re.Pattern[str], Replacement], ...] = (
    # "api_key": "...", also cut off before its end; then the same inside a text, where quotes are escaped
    (re.compile(rf'(?i)("(?=[\w.-]{{1,60}}"){_FIELD}"\s{{0,20}}:\s{{0,20}}")(?:[^"\\]|\\.)*(?:"|\Z)'), rf'\1{MASK}"'),
    (
        re.compile(rf'(?i)(\\"{_FIELD}\\"\s{{0,20}}:\s{{0,20}}\\")(?:[^"\\]|\\\\(?:\\")?|\\[^"\\])*(?:\\"|\Z)'),
        rf'\1{MASK}\\"',
    ),
    (re.compile(rf"(?i)(<{_FIELD}>)[^<]+"), rf"\1{MASK}"),
    # user:password@ and ?query of a URL; key=value anywhere
    (re.compile(r"://[^/\s@\"'<>]{1,512}@"), f"://{MASK}@"),
    (re.compile(r"(?<=[\w/])[?#](?=[^\s\"'<>]{2})[^\s\"'<>]+"), f"?{MASK}"),
    (re.compile(r"([?&;][\w.\-\[\]%]{1,64}=)[^&;\s\"'<>]+"), rf"\1{MASK}"),
    (re.compile(rf"(?i)(?<![\w.-])(?=[\w.-]{{1,60}}\s?=)({_FIELD}\s?=\s?)[^&\s\"'<>,;]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b((?:password|passwd|passphrase|secret)\s?:\s?)[^&\s\"'<>,;]+"), rf"\1{MASK}"),
    (
        re.compile(rf"(?i)\b((?:(?:bearer|basic|digest|{_NAME}|key)[\s:]{{1,3}}){{1,3}})['\"]?([\w.~+/=*-]{{6,}})"),
        _value,
    ),
    # addresses and numbers of people
    (re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}"), MASK),
    # 0, so that a JSON number stays one
    (re.compile(r"\+\d{7,15}\b|\b\d{12,}\b"), "0"),
    # sk_live_..., key-..., SG...., eyJ...: a known beginning
    (re.compile(r"(?<![A-Za-z0-9])eyJ[\w.=-]{8,}"), MASK),
    (
        re.compile(
            r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk|key|whsec|gh[opsur]|github_pat|glpat|xox[a-z]|shp[a-z]{2}|hf|re|npm|dop_v1)[_-]"
            r"|SG\.|AKIA|ASIA|AIza|ya29\.)(?=[\w.*-]{0,80}[\d*])[\w.*-]{8,}"
        ),
        MASK,
    ),
    (re.compile(rf"{_RUN}{{16,}}"), _run),
)
_HEADERS = frozenset({"content-type", "retry-after", "server", "reason", "x-error-code", "x-amzn-errortype"})
_HEADER_PREFIXES = ("x-ratelimit-", "ratelimit")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_BETWEEN_WORDS = " \n\t\"'<>,;"
_LONG_WORD = 512


def masked(text: str) -> str:
    """`text` with everything that looks like a credential or a person's address replaced by `***`."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def safe_body(body: bytes | str | None) -> str:
    """The beginning of an error's body, masked: at most MOST_BODY_BYTES in UTF-8, "" for what is no text."""
    if isinstance(body, (bytes, bytearray)):
        text = bytes(body[: MOST_READ * 4]).decode("utf-8", "replace")
    else:
        text = body if isinstance(body, str) else ""
    read = _CONTROL.sub(" ", text[:MOST_READ])
    if len(text) > MOST_READ:
        read = _whole_words(read)
    return masked(read).encode("utf-8", "replace")[:MOST_BODY_BYTES].decode("utf-8", "ignore")


def _whole_words(text: str) -> str:
    """`text` without its last word, of which only the beginning may be there: half a secret looks like none.

    What is longer than a word is left: as much as that of a secret is known for one.
    """
    end = max(text.rfind(between, len(text) - _LONG_WORD) for between in _BETWEEN_WORDS)
    return text[: end + 1] if end >= 0 else text


def safe_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """The response headers that tell a cause, by lower-cased name. `www-authenticate` is cut to its scheme."""
    kept: dict[str, str] = {}
    for name, value in (headers or {}).items():
        lowered = str(name).lower()
        if len(kept) == MOST_HEADERS:
            break
        if lowered == "www-authenticate":
            kept[lowered] = _scheme(str(value))
        elif lowered in _HEADERS or lowered.startswith(_HEADER_PREFIXES):
            kept[lowered[:64]] = masked(_CONTROL.sub(" ", str(value)[:MOST_HEADER]))
    return kept


def _scheme(value: str) -> str:
    word = re.split(r"[\s,]", value.strip(), maxsplit=1)[0]
    return word if word.lower() in _SCHEMES else "other"


def default_operation(method: str, host: str) -> str:
    """`POST api.mailgun.net`. Without the path: paths hold ids, and each would be an operation of its own."""
    word = method.upper() if method.isalpha() and len(method) <= 10 else "OTHER"
    return f"{word} {host.lower()}"


def safe_reason(reason: str) -> str:
    """A reason for the program's log: one line, masked, at most MOST_REASON characters."""
    return masked(" ".join(_CONTROL.sub(" ", reason[:MOST_READ]).split()))[:MOST_REASON]


def safe_operation(operation: str) -> str:
    """What the program calls its operation, masked and at most 120 characters."""
    return masked(_CONTROL.sub(" ", operation[:120]))
