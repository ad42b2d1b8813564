"""What is masked in a trace, and by which rule: ("password", 12, 19) for `password: hunter2x`.

Two sets of rules. Those of ``detect-secrets`` (extra: import) know the tokens of services by their form. Ours know what
stands beside a name such as "password", what identifies a person, and tokens that the others do not know. Names of
people cannot be told from other words: of these only authors of commits and owners of home folders are found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from lbi.errors import UserError
from lbi.interop.mask_checks import (
    always,
    is_credential,
    is_iban,
    is_mailbox,
    is_phone_number,
    is_public_address,
    is_random,
    is_somebody,
    is_value,
    luhn,
)

PERSONAL = "personal: "  # how the kinds of personal data begin


_GAP = re.compile(r"[ .-]")  # between the groups of a number


class Found(NamedTuple):
    """Where in a text something is to be masked."""

    start: int
    end: int
    kind: str
    learn: bool  # the value is masked wherever else it stands, too


@dataclass(frozen=True)
class Rule:
    """``needles``: one of these is in every text with a match (in small letters); none = any text may have one.

    Of the pattern's groups each one that matched is masked, or the whole match where there are none.
    """

    kind: str
    pattern: re.Pattern[str]
    needles: tuple[str, ...] = ()
    fits: Callable[[str], bool] = always
    least_learnt: int = 6  # characters of a value that is masked wherever else it stands; 0 = none is

    grouped: bool = (
        False  # a number in groups: what stands behind it may look like one more, as a card's three digits do
    )
    begins: bool = False  # every match begins with a needle, so that only these places are tried

    def find(self, text: str, lowered: str) -> Iterator[Found]:
        for start, end in self._in_groups(text, lowered) if self.grouped else self._spans(text, lowered):
            value = text[start:end]
            if self.fits(value):
                yield Found(start, end, self.kind, 0 < self.least_learnt <= len(value))

    def _spans(self, text: str, lowered: str) -> Iterator[tuple[int, int]]:
        for match in self._matches(text, lowered):
            groups = [group for group in range(1, (match.lastindex or 0) + 1) if match[group]]
            yield from [match.span(group) for group in groups] or [match.span()]

    def _in_groups(self, text: str, lowered: str) -> Iterator[tuple[int, int]]:
        """The longest parts that fit, whatever groups of digits stand before and behind them."""
        if self.needles and not any(needle in lowered for needle in self.needles):
            return
        at = 0
        while match := self.pattern.search(text, at):
            start, end = match.span()
            gaps = list(_GAP.finditer(match[0]))
            ends = (end, *(start + gap.start() for gap in reversed(gaps)))
            fitting = (
                each for each in ends if self.fits(text[start:each]) and self.pattern.fullmatch(text, start, each)
            )
            at = next(fitting, 0)
            if at:
                yield start, at
            else:
                at = start + gaps[0].end() if gaps else end

    def _matches(self, text: str, lowered: str) -> Iterator[re.Match[str]]:
        needles = [needle for needle in self.needles if needle in lowered]
        if self.begins:
            for at in sorted({at for needle in needles for at in _places(needle, lowered)}):
                if match := self.pattern.match(text, at):
                    yield match
        elif needles or not self.needles:
            yield from self.pattern.finditer(text)


def _places(needle: str, text: str) -> Iterator[int]:
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + 1)


_SECRET_NAME = (
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|(?:api|access|private|signing|encryption|auth|session)[_-]?key|"
    r"credentials?|connection[_-]?string|session[_-]?id|otp)"
)
#: a name in front of = or :, as in code, settings, JSON, YAML and what people write
_ASSIGNED = rf"{_SECRET_NAME}\b[\"'`\]\\]{{0,4}}\s{{0,3}}(?:=>|:=|=|:|\bis\b)\s{{0,3}}"
_QUOTED = r"\\?[\"'`]([^\"'`\r\n\\]{4,400})\\?[\"'`]"
_BARE = r"([^\s\"'`,;<>\\]{6,400})"
_BEGINS = (
    *("pass", "pwd", "secret", "token", "credential", "connection", "otp"),
    *("api", "access", "private", "signing", "encryption", "auth", "session"),
)


def _rule(kind: str, pattern: str, *needles: str, fits: Callable[[str], bool] = always, learn: int = 6) -> Rule:
    return Rule(kind, re.compile(pattern), needles, fits, learn)


def _personal(
    kind: str, pattern: str, *needles: str, fits: Callable[[str], bool], learn: int = 0, grouped: bool = False
) -> Rule:
    return Rule(PERSONAL + kind, re.compile(pattern), needles, fits, learn, grouped)


#: tokens that their form gives away: (whose, their beginnings, pattern)
_TOKENS = (
    (
        "a model provider",
        ("sk-", "gsk_", "xai-", "pplx-", "r8_", "fw_", "nvapi-"),
        r"(?:sk|gsk|xai|pplx|r8|fw|nvapi)[-_][A-Za-z0-9_-]{20,}",
    ),
    (
        "a code host",
        ("github_pat_", "ghp_", "gho_", "ghs_", "ghr_", "ghu_", "gl"),
        r"(?:github_pat_\w{22,}|gh[oprsu]_\w{30,}|gl(?:pat|dt|rt|ft|cbt|ptt|agent|oas)-[\w-]{20,})",
    ),
    (
        "a package registry",
        ("pypi-", "npm_", "dckr_pat_", "rubygems_"),
        r"(?:pypi-[\w-]{30,}|npm_\w{30,}|dckr_pat_[\w-]{20,}|rubygems_\w{40,})",
    ),
    ("a hub", ("hf_",), r"hf_[A-Za-z0-9]{30,}"),
    (
        "a cloud",
        ("aiza", "ya29.", "gocspx-", "ltai", "_v1_"),
        r"(?:AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}|LTAI\w{12,}|do[opr]_v1_\w{60,})",
    ),
    (
        "a service",
        (
            "xox",
            "xapp-",
            "shp",
            "lin_api_",
            "ntn_",
            "sbp_",
            "glsa_",
            "k_live_",
            "k_test_",
            "whsec_",
            "sg.",
            "age-secret",
        ),
        r"(?:xox[a-z]-[\w-]{10,}|xapp-[\w-]{20,}|shp(?:at|ca|pa|ss)_\w{30,}|lin_api_\w{30,}|ntn_\w{40,}|sbp_\w{40}|"
        r"glsa_\w{30,}|[rps]k_(?:live|test)_\w{16,}|whsec_[\w+/=]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|"
        r"AGE-SECRET-KEY-1\w{50,})",
    ),
    ("a bot", (":",), r"\d{8,10}:[A-Za-z0-9_-]{35}"),
    ("a log-in", ("eyj",), r"eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),
)

SECRETS = (
    *(_rule(f"token of {whose}", rf"\b{pattern}(?![A-Za-z0-9])", *starts) for whose, starts, pattern in _TOKENS),
    _rule(
        "private key",
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]{0,20000}?(?:-----END [A-Z0-9 ]*-----|\Z)",
        "private key",
        learn=0,
    ),
    _rule(
        "header of a log-in",
        r"(?i)\b(?:bearer|basic|digest)\s+([A-Za-z0-9._~+/=-]{12,})",
        *("bearer", "basic", "digest"),
        fits=is_credential,
    ),
    _rule("cookie", r"(?i)\bcookie[\"']?:\s*[\"']?([^\r\n\"'\\]{6,4000})", "cookie", learn=0),
    _rule("password in an address", r"://[^\s:/@\"'<>]{0,100}:([^\s@/\"'<>]{1,200})@", "://"),
    _rule(
        "token in an address",
        r"(?i)[?&](?:[\w-]{0,30}(?:token|key|signature|secret|password)|sig|code)=([^&\s\"'<>#]{8,})",
        "=",
        fits=is_credential,
    ),
    Rule("password", re.compile(rf"(?i){_ASSIGNED}{_QUOTED}"), _BEGINS, is_value, begins=True),
    Rule("password", re.compile(rf"(?i){_ASSIGNED}{_BARE}"), _BEGINS, is_credential, begins=True),
)
PERSONS = (
    _personal("e-mail address", r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}\b", "@", fits=is_mailbox),
    _personal(
        "phone number",
        r"(?<![\w.+/-])(?:\+\d{1,3}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}|\(\d{3}\) ?\d{3}-\d{4}|"
        r"\d{3}-\d{3}-\d{4})(?![\w/-])",
        *("-", "+"),
        fits=is_phone_number,
        grouped=True,
    ),
    _personal("card number", r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)", fits=luhn, grouped=True),
    _personal(
        "bank account", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b", fits=is_iban, grouped=True
    ),
    _personal(
        "social security number",
        r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])",
        "-",
        fits=always,
    ),
    _personal("network address", r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)", ".", fits=is_public_address),
    _personal(
        "owner of a home folder",
        r"(?i)(?:/home/|/users/|[a-z]:(?:\\{1,4}|/)users(?:\\{1,4}|/)|(?<=[/\"' ])-(?:users|home)-)"
        r"([A-Za-z0-9][A-Za-z0-9._]{0,60})",
        *("home", "users"),
        fits=is_somebody,
        learn=4,
    ),
    _personal(
        "author of a commit",
        r"(?:Author|Commit(?:ter)?|Signed-off-by|Co-authored-by|Reviewed-by): ([^<>\r\n]{2,80}?) <",
        *("author", "commit", "-by: "),
        fits=always,
        learn=4,
    ),
)
#: tried last, as the others say what it is
RANDOM = _rule("long random text", r"(?<![\w/+-])[A-Za-z0-9_+-]{32,}={0,2}(?![\w/+])", fits=is_random)
OWN = (*SECRETS, *PERSONS, RANDOM)

#: of the other set's rules, what is in every text with a match; those that are not named are tried on every text
_NEEDLES = {
    "Artifactory Credentials": ("akc", "artif", "jfrog", "buildkit"),
    "AWS Access Key": ("aws", "akia", "asia", "abia", "acca", "a3t"),
    "Azure Storage Account access key": ("==",),
    "Basic Auth Credentials": ("://",),
    "Cloudant Credentials": ("cloudant", "cl_", "cl-", "clou"),
    "GitHub Token": ("gh",),
    "IBM Cloud IAM Key": ("ibm", "iam", "cloud"),
    "IBM COS HMAC Credentials": ("secret",),
    "JSON Web Token": ("eyj",),
    "Mailchimp Access Key": ("-us",),
    "NPM tokens": ("npm", "_authtoken"),
    "Private Key": ("private key", "putty"),
    "SendGrid API Key": ("sg.",),
    "Slack Token": ("xox", "hooks.slack.com"),
    "SoftLayer Credentials": ("softlayer", "sl_", "sl-", "slapi"),
    "Square OAuth Secret": ("sq0csp",),
    "Stripe Access Key": ("k_live_",),
}
#: tried by rules of ours: what stands beside a name, and random texts
_NOT_THEIRS = ("Secret Keyword", "Base64 High Entropy String", "Hex High Entropy String")


@cache
def rules() -> tuple[Rule, ...]:
    """Those of ``detect-secrets``, and ours. Raises UserError where it is not installed."""
    try:
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    except ImportError:
        raise UserError(
            "importing masks secrets by the rules of detect-secrets, which is not installed: "
            "pip install 'learn-by-interact[import]'"
        ) from None
    theirs = [
        Rule(f"{kind} (detect-secrets)", pattern, _NEEDLES.get(kind, ()))
        for kind, detector in sorted(get_mapping_from_secret_type_to_class().items())
        if kind not in _NOT_THEIRS and hasattr(detector, "denylist")
        for pattern in detector.denylist
    ]
    return (*SECRETS, *PERSONS, *theirs, RANDOM)


def find(text: str, by: Iterable[Rule]) -> list[Found]:
    """Everything to be masked, from left to right; of what overlaps, the kind that begins first, or is named first."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters become two
        lowered = "".join(small if len(small := char.lower()) == 1 else char for char in text)
    found = sorted((each for rule in by for each in rule.find(text, lowered)), key=lambda each: each.start)
    joined: list[Found] = []
    for each in found:
        if joined and each.start < joined[-1].end:
            last = joined[-1]
            joined[-1] = last._replace(end=max(last.end, each.end), learn=last.learn or each.learn)
        else:
            joined.append(each)
    return joined


@dataclass
class Names:
    """Whether what an object calls a value says that it is a secret: "password", "clientSecret", "Authorization"."""

    known: dict[str, bool] = field(default_factory=dict)
    _pattern: re.Pattern[str] = re.compile(rf"(?:.*[_.-])?(?:{_SECRET_NAME}|authorization|cookie)", re.IGNORECASE)

    def tell(self, name: str) -> bool:
        if name not in self.known:
            if len(self.known) > 10_000:
                self.known.clear()
            parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|\s+", "_", name.strip(" :*"))
            self.known[name] = self._pattern.fullmatch(parted) is not None
        return self.known[name]
