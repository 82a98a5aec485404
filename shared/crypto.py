"""Encryption of single database fields, so that a stolen dump, a backup or a database log holds no name, number or text.

AES-256-GCM with the place of the field (table, column, row) bound as associated data: a ciphertext copied to another patient's
row does not open. Layout of a sealed field: 1 byte key id, 12 bytes random nonce, ciphertext with tag. The keys in use are
derived by HKDF-SHA256 from the data key, one for sealing and one for each purpose of a blind index, so that none reveals another.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.errors import SteadypathError

KEY_BYTES = 32
_NONCE_BYTES = 12
_FIRST_KEY_ID = 1


class CannotOpen(SteadypathError):
    """The field was sealed under another key, for another place, or was changed. Says nothing of its content."""


def _derive(key: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"steadypath/{purpose}/v1".encode()).derive(key)


def _bound(table: str, column: str, row: object) -> bytes:
    """The place as bytes; every part with its length, so that no two places read the same."""
    parts = [part.encode() for part in (table, column, str(row))]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class FieldCipher:
    """Seals and opens fields under one data key (32 bytes); `older` are keys, by id, that only open."""

    @classmethod
    def of(cls, keys: Mapping[int, bytes]) -> FieldCipher:
        """Of keys by id, as the settings have them: the first one seals."""
        first = next(iter(keys))
        return cls(keys[first], key_id=first, older={each: key for each, key in keys.items() if each != first})

    def __init__(self, key: bytes, *, key_id: int = _FIRST_KEY_ID, older: Mapping[int, bytes] | None = None) -> None:
        keys = {**(older or {}), key_id: key}
        if any(len(each) != KEY_BYTES for each in keys.values()):
            raise ValueError("a data key has exactly 32 bytes")
        if any(not 0 < each <= 255 for each in keys):
            raise ValueError("a data key's id is a byte from 1 to 255")
        self.key_id = key_id
        self._sealing = {each: AESGCM(_derive(value, "seal")) for each, value in keys.items()}
        self._index_root = _derive(key, "index")

    @property
    def changing(self) -> bool:
        """Whether older keys are loaded too."""
        return len(self._sealing) > 1

    def seal(self, text: str, *, table: str, column: str, row: object) -> bytes:
        """The text, readable only with the key and only for this table, column and row."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._sealing[self.key_id].encrypt(nonce, text.encode(), _bound(table, column, row))
        return bytes([self.key_id]) + nonce + sealed

    def open(self, blob: bytes, *, table: str, column: str, row: object) -> str:
        """The text that `seal` was given. Raises CannotOpen for another key, another place or a changed byte."""
        cipher = self._sealing.get(blob[0]) if blob else None
        if cipher is None:
            raise CannotOpen("sealed under a key that is not loaded")
        nonce, sealed = blob[1 : 1 + _NONCE_BYTES], blob[1 + _NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, sealed, _bound(table, column, row)).decode()
        except (InvalidTag, ValueError):
            raise CannotOpen("sealed under another key, for another place, or changed") from None

    def blind_index(self, text: str, *, purpose: str) -> bytes:
        """32 bytes by which equal texts of one purpose can be found and nothing can be read (HMAC-SHA256)."""
        return hmac.new(_derive(self._index_root, purpose), text.encode(), sha256).digest()
