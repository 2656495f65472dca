"""What must not be shown, and what should be read with care: secrets, and sentences that talk to an agent.

A chunk with a secret is withheld from every search. A chunk that speaks to an agent is shown with a mark: documents
about agents do that, too, so it is a warning for the reader and no verdict.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

SECRET: Final = "secret:"  # noqa: S105 - the beginning of a mark
INJECTION: Final = "injection:"

_SECRETS: Final = {
    "private-key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "aws-key": r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    "github-token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})\b",
    "gitlab-token": r"\bgl(?:pat|dt|rt|soat|cbt|ptt|ft|imt|agent)-[A-Za-z0-9_-]{20,}",
    "slack-token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-\d-[A-Z0-9]{8,}-\d+-[a-f0-9]{20,}",
    "webhook": r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/+]{20,}"
    r"|https://(?:ptb\.|canary\.)?discord(?:app)?\.com/api/webhooks/\d+/[\w-]{30,}",
    "google-key": r"\bAIza[0-9A-Za-z_-]{35}\b|\bya29\.[0-9A-Za-z_-]{20,}|\bGOCSPX-[0-9A-Za-z_-]{20,}",
    "stripe-key": r"\b[sr]k_(?:live|test)_[0-9A-Za-z]{16,}\b|\bwhsec_[0-9A-Za-z+/=]{24,}",
    "model-key": r"\bsk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{32,}\b|\bhf_[A-Za-z0-9]{30,}\b",
    "npm-token": r"\bnpm_[A-Za-z0-9]{36}\b|//[^\s/]+/:_authToken=[^\s$]{8,}",
    "pypi-token": r"\bpypi-AgE[A-Za-z0-9_-]{50,}",
    "sendgrid-key": r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{32,}",
    "twilio-key": r"\bSK[0-9a-f]{32}\b",
    "vault-token": r"\bhv[sbr]\.[A-Za-z0-9_-]{24,}",
    "azure-key": r"(?i)\b(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,}={0,2}|[?&]sig=[A-Za-z0-9%]{40,}",
    "hanse-key": r"\bhanse_[A-Za-z0-9_-]{24,}\b",
    "jwt": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "url-password": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@<>{}$\"'`]{1,100}:(?P<value>[^\s:/@<>{}$\"'`]{3,100})@[\w.-]+",
    "authorization": r"(?i)\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|token)\s+(?P<value>[A-Za-z0-9._~+/=-]{12,})",
    "assigned": r"(?i)(?<![A-Za-z0-9])(?:[\w.-]{0,40}[_.-])?(?:password|passwd|pwd|passphrase|secret|api[_-]?key|access[_-]?key"
    r"|auth[_-]?token|access[_-]?token|client[_-]?secret|private[_-]?key|credentials?|token)"
    r"[\"'`]?\s{0,4}(?::=|=>|=|:)\s{0,4}[\"'`]?(?P<value>[^\s\"'`,;<>{}()\[\]]{6,200})",
    "told": r"(?i)\b(?:password|passphrase|passwort|pin)\s+(?:is|was|ist|lautet)\s*:?\s*[\"'`]?(?P<value>[^\s\"'`,;]{6,80})",
}
_PATTERNS: Final = {name: re.compile(pattern) for name, pattern in _SECRETS.items()}
_NEEDS_A_LOOK: Final = frozenset({"url-password", "authorization", "assigned", "told"})
_PLACEHOLDER: Final = re.compile(
    r"(?i)^(?:[x*.•_-]+|.*(?:example|placeholder|changeme|change[_-]me|redacted|dummy|your[_-]|my[_-]|insert|todo|replace"
    r"|secretname|vault:|ssm:|arn:|env\.|process\.|os\.|secrets?\.|config\.|settings\.|var\.|self\.|data\.|none$|null$|true$"
    r"|false$|string$|required|optional|undefined).*|\$.*|%.*|<.*|.*\.\.\..*|/.*|https?:.*|.*[*]{3,}.*)$"
)
_ENTROPY: Final = {"assigned": 2.9, "told": 2.5, "authorization": 2.9, "url-password": 1.5}

_INJECTIONS: Final = {
    "override": r"(?i)\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]{0,40}\b(?:previous|prior|above|earlier|all|any|your|system)"
    r"\b[^.\n]{0,30}\b(?:instructions?|prompts?|rules?|guidelines?|messages?|context|polic(?:y|ies))\b",
    "role": r"(?i)\byou are (?:now|no longer)\b|\bact as (?:an? )?(?:unrestricted|jailbroken|developer mode|admin|root)\b"
    r"|\bnew (?:system )?(?:instructions?|prompt)\s*:|\bfrom now on,? you\b",
    "frame": r"(?im)<\s*/?\s*(?:system|assistant|im_start|im_end|tool_result|function_calls?)\s*>|<\|(?:im_start|im_end|system|endoftext)\|>"
    r"|\[/?INST\]|^\s*(?:###\s*)?(?:system|assistant)\s*(?:prompt|message)?\s*:\s",
    "secrecy": r"(?i)\b(?:do not|don't|never)\b[^.\n]{0,30}\b(?:tell|inform|mention|reveal|show|alert)\b[^.\n]{0,30}\b(?:the )?(?:user|human|operator|reviewer)s?\b",
    "exfiltration": r"(?i)\b(?:send|post|upload|forward|exfiltrate|leak|e-?mail)\b[^.\n]{0,60}\b(?:secrets?|credentials?|tokens?|api keys?"
    r"|passwords?|conversation|system prompt|environment variables?)\b[^.\n]{0,40}\b(?:to|at)\b\s+\S*(?:https?://|@|webhook)"
    r"|!\[[^\]\n]*\]\(\s*https?://[^)\s]*(?:\{|%7B|\$)[^)]*\)",
    "tool": r"(?i)\b(?:call|invoke|run|use|execute)\b[^.\n]{0,20}\b(?:the )?(?:tool|function|command)\b[^.\n]{0,60}\b(?:without|instead of|before)\b"
    r"[^.\n]{0,30}\b(?:asking|confirm\w*|approval|permission|answering)\b",
    "hidden": r"[\u202a-\u202e\u2066-\u2069]|[\U000e0020-\U000e007f]{3,}|(?:[\u200b-\u200d\u2060\ufeff]){4,}",
}
_INDICATORS: Final = {name: re.compile(pattern) for name, pattern in _INJECTIONS.items()}


def screen(text: str) -> list[str]:
    """Returns the marks of a text, `secret:…` and `injection:…`, sorted. The secret itself is in none of them."""
    secrets = (f"{SECRET}{name}" for name, pattern in _PATTERNS.items() if _has_secret(name, pattern, text))
    injections = (f"{INJECTION}{name}" for name, pattern in _INDICATORS.items() if pattern.search(text))
    return sorted({*secrets, *injections})


def is_secret(marks: Sequence[str]) -> bool:
    """Tells whether one of the marks says that the text is withheld."""
    return any(mark.startswith(SECRET) for mark in marks)


def _has_secret(name: str, pattern: re.Pattern[str], text: str) -> bool:
    if name not in _NEEDS_A_LOOK:
        return pattern.search(text) is not None
    return any(_is_value(name, value) for value in _values(pattern, text))


def _values(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    for match in pattern.finditer(text):
        yield match["value"].rstrip(".:!?")


def _is_value(name: str, value: str) -> bool:
    """Tells whether what is assigned may be a secret: not a placeholder, not a word of prose, not a name of code."""
    if len(value) < 3 or _PLACEHOLDER.match(value):
        return False
    if name == "url-password":
        return True
    is_mixed = sum(bool(re.search(kind, value)) for kind in (r"[a-z]", r"[A-Z]", r"\d", r"[^\w]")) >= 2
    return (
        is_mixed
        and not re.fullmatch(r"[A-Za-z]+(?:[._:-][A-Za-z]+)*|[A-Z]?[a-z]+", value)
        and entropy(value) >= _ENTROPY[name]
    )


def entropy(text: str) -> float:
    """Returns the Shannon entropy of the characters, in bits."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values()) if text else 0.0
