"""Whether what a rule found in a trace is to be masked: "hunter2x" is, "get_token(request)" and "the" are not."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter


def always(value: str) -> bool:
    return True


#: not a secret, but what stands for one or asks for one
_PLACEHOLDER = re.compile(
    r"(?:your|my|some|the|an?|test|fake|dummy|example|placeholder|changeme|redacted|masked|none|null|nil|true|false|"
    r"undefined|string|str|int|bool|bytes|object|required|optional|default|empty|xxx+|\*+|\.+|•+|-+|_+)(?:[-_ ]\w+)*",
    re.IGNORECASE,
)
_CODE = re.compile(r"[A-Za-z_][\w.]*[\[(].*|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|[$%{<@&*].*|.*[(){}\[\]<>]", re.DOTALL)


def is_value(value: str) -> bool:
    """Whether a text beside a telling name is a value, and no type, variable, call or placeholder."""
    return len(value) >= 4 and not _PLACEHOLDER.fullmatch(value) and not _CODE.fullmatch(value)


def is_credential(value: str) -> bool:
    """As ``is_value``, and no ordinary word or number: what is not in quotes may be a sentence."""
    bare = value.strip(".,:;!?")
    return is_value(bare) and len(bare) >= 6 and not bare.isalpha() and not bare.replace(".", "").isdigit()


def is_random(value: str) -> bool:
    """Whether a long text looks drawn: digits, small and large letters in disorder, and no hash or path."""
    kinds = Counter("d" if char.isdigit() else "u" if char.isupper() else "l" for char in value if char.isalnum())
    if min(kinds["d"], kinds["u"], kinds["l"]) < 3:
        return False
    counts = Counter(value)
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values()) > 4.0


def luhn(value: str) -> bool:
    """Whether the last digit of a card's number fits the others."""
    digits = [int(char) for char in value if char.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) < 2:
        return False
    doubled = [digit if at % 2 == 0 else sum(divmod(2 * digit, 10)) for at, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def is_iban(value: str) -> bool:
    compact = value.replace(" ", "").upper()
    rotated = "".join(str(int(char, 36)) for char in compact[4:] + compact[:4] if char.isalnum())
    return 15 <= len(compact) <= 34 and int(rotated) % 97 == 1


def is_public_address(value: str) -> bool:
    try:
        return ipaddress.ip_address(value).is_global
    except ValueError:
        return False


def is_phone_number(value: str) -> bool:
    return 9 <= sum(map(str.isdigit, value)) <= 15


def is_mailbox(value: str) -> bool:
    """``git@host:`` is how one logs in, and nobody's mailbox."""
    return not value.startswith("git@")


#: owners of home folders who are nobody
_NOBODY = frozenset(
    "user users app node runner ubuntu debian root agent vscode codespace me you shared public default admin "  # noqa: SIM905
    "nonroot sandbox workspace work dev developer test guest".split()
)


def is_somebody(value: str) -> bool:
    return len(value) > 1 and value.lower() not in _NOBODY and not value.startswith(".")
