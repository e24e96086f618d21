"""Sealing: what a subject's key, once in the clear, does with words."""

import hmac
import os
from base64 import b64decode, b64encode
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import SubjectErased

KEY_BYTES = 32
NONCE_BYTES = 12
SEALED = "sealed:1:"


class SubjectKey:
    """A subject's key in the clear: seals and opens texts, and makes digests that say nothing without it."""

    def __init__(self, ref: str, key: bytes, wrapped: str = ""):
        self.ref, self._key, self.wrapped = ref, key, wrapped

    def seal(self, text: str, place: str) -> str:
        """The text, to be read with this key and for the same place (what the text is, and whose) alone."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), place.encode())
        return SEALED + b64encode(nonce + sealed).decode()

    def open(self, sealed: str, place: str) -> str:
        """What was sealed; raises SubjectErased if it was under another key, which then is gone."""
        try:
            data = b64decode(sealed.removeprefix(SEALED))
            return self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise SubjectErased(self.ref) from error

    def mac(self, text: str) -> str:
        """A digest (HMAC-SHA-256) that ties a record to a text, and tells nothing once the key is gone."""
        return hmac.digest(self._derived, text.encode(), "sha256").hex()

    @cached_property
    def mark(self) -> str:
        """What each record carries of its key: who was erased and came again has another one."""
        return self.mac("subject")

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self._key)

    @cached_property
    def _derived(self) -> bytes:
        return hmac.digest(self._key, b"mac", "sha256")
