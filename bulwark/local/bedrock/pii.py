"""Personal data that a pattern can find; names, addresses and the like are not found here."""

import re
from collections.abc import Iterator

_PATTERNS = {
    "EMAIL": r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b",
    "PHONE": r"(?<![\w.])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)|\d{2,4})[ .-]\d{3,4}[ .-]?\d{3,4}\b",
    "US_SOCIAL_SECURITY_NUMBER": r"\b\d{3}-\d{2}-\d{4}\b",
    "CREDIT_DEBIT_CARD_NUMBER": r"\b(?:\d[ -]?){12,18}\d\b",
    "INTERNATIONAL_BANK_ACCOUNT_NUMBER": r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b",
    "IP_ADDRESS": r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b",
    "MAC_ADDRESS": r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b",
    "URL": r"\bhttps?://[^\s<>\"')]+",
    "AWS_ACCESS_KEY": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "PASSWORD": r"(?i:\bpassword\s*(?:is|:|=)\s*)(\S+)",
    "PIN": r"(?i:\bpin\s*(?:is|:|=|code)\s*)(\d{4,6})\b",
}
PATTERNS = {name: re.compile(pattern) for name, pattern in _PATTERNS.items()}


def find(entity: str, text: str) -> Iterator[tuple[int, int]]:
    """Where a text holds an entity of this type; nothing for a type that no pattern finds."""
    pattern = PATTERNS.get(entity)
    for found in pattern.finditer(text) if pattern else ():
        group = 1 if pattern.groups else 0
        if entity != "CREDIT_DEBIT_CARD_NUMBER" or _luhn(found.group()):
            yield found.span(group)


def _luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number) if digit.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
