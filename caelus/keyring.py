"""The keys that secrets are encrypted by, and the encryption: libsodium's XChaCha20-Poly1305.

They are in CAELUS_SECRET_KEY or, where that is not set, in a file in the data directory. They are
read at each use, so that every process goes by a rotated key at once.
"""

import base64
import contextlib
import fcntl
import hashlib
import os
import pathlib
import stat

from caelus import config, parsing
from caelus.copies import sync
from caelus.errors import SecretKeyError
from caelus.presence import give_away

FILE = "secret.key"
VERSION = "1"
PREFIX_LENGTH = 10  # of what begins all that one key has sealed: `VERSION.KEY`


def seal(text: str, owner: str) -> str:
    """`text` encrypted by the first key, readable only as this owner's: `VERSION.KEY.BASE64`.

    `owner` names a row in words. The very first call makes the key file.
    """
    from nacl.secret import Aead

    key = (_keys() or _made())[0]
    sealed = Aead(key).encrypt(text.encode(), owner.encode())
    return ".".join((VERSION, fingerprint(key), base64.b64encode(sealed).decode()))


def unseal(token: str, owner: str) -> str:
    """The text that `seal` was given. Raises SecretKeyError where that can't be known."""
    from nacl.exceptions import CryptoError
    from nacl.secret import Aead

    _, wanted, sealed = [*token.split("."), "", ""][:3]
    key = next((key for key in _keys() if fingerprint(key) == wanted), None)
    if key is None:
        raise missing(wanted, owner)
    try:
        return Aead(key).decrypt(base64.b64decode(sealed), owner.encode()).decode()
    except (CryptoError, ValueError):
        raise SecretKeyError(
            f"the secrets of {owner} can't be decrypted with key {wanted}: they were changed, or "
            "belong to another row; restore the database from a backup"
        ) from None


def key_of(token: str) -> str:
    """The fingerprint of the key that `seal` has used."""
    return token.partition(".")[2].partition(".")[0]


def missing(wanted: str, owner: str) -> SecretKeyError:
    return SecretKeyError(
        f"the secrets of {owner} are encrypted with key {wanted}, which {source()} does not "
        "hold; put that key back beside what is there"
    )


def fingerprint(key: bytes) -> str:
    """What a key is called in sentences and beside what it encrypted."""
    return hashlib.sha256(b"caelus key " + key).hexdigest()[:8]


def fingerprints() -> list[str]:
    return [fingerprint(key) for key in _keys()]


def prefixes() -> list[str]:
    """What begins all that the keys at hand have sealed."""
    return [f"{VERSION}.{known}" for known in fingerprints()]


def source() -> str:
    return "CAELUS_SECRET_KEY" if config.secret_keys() else str(_path())


# The file; who writes it holds `locked`


@contextlib.contextmanager
def locked():
    """Keep other processes and threads from writing the key file."""
    descriptor = os.open(_path().parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def export(path: pathlib.Path, more: pathlib.Path | None = None) -> None:
    """Write the keys to a file at `path`, after them those in the file `more`.

    As root, it becomes the owner's of the directory, as what it goes with does.
    """
    keys = dict.fromkeys([*_keys(), *(_in_file(more) if more else [])])
    _replace(path, list(keys), path.parent)


def take_in(path: pathlib.Path) -> list[str]:
    """Put the keys in the file at `path` after those at hand; gives what the new ones are called.

    Raises SecretKeyError, also where they would have to go to CAELUS_SECRET_KEY.
    """
    with locked():
        held = _keys()
        new = [key for key in _in_file(path) if key not in held]
        if new and config.secret_keys():
            raise SecretKeyError(
                f"CAELUS_SECRET_KEY does not hold key {fingerprint(new[0])} of {path}; "
                "put it there, after a comma"
            )
        if new:
            _write([*held, *new])
    return [fingerprint(key) for key in new]


def add() -> None:
    """Put a new key before those in the file; those of CAELUS_SECRET_KEY are for others to set."""
    if not config.secret_keys():
        _write([os.urandom(parsing.KEY_BYTES), *_keys()])


def drop_old() -> None:
    """Leave only the first key in the file."""
    if not config.secret_keys():
        _write(_keys()[:1])


def _made() -> list[bytes]:
    with locked():
        if not _keys():  # or another process was quicker
            add()
        return _keys()


def _path() -> pathlib.Path:
    return config.data_dir() / FILE


def _keys() -> list[bytes]:
    return config.secret_keys() or _in_file(_path())


def _in_file(path: pathlib.Path) -> list[bytes]:
    """The keys in the file, none where there is no file."""
    try:
        with open(path) as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise SecretKeyError(
                    f"the key file {path} may be used by others than its owner; "
                    f"run: chmod 600 {path}"
                )
            keys = parsing.keys_in(file.read())
    except FileNotFoundError:
        return []
    except OSError as e:
        raise SecretKeyError(f"cannot read the key file {path}: {e.strerror}") from None
    except ValueError:
        raise SecretKeyError(f"the key file {path} is damaged; restore it from a backup") from None
    if not keys:
        raise SecretKeyError(f"the key file {path} is empty; restore it from a backup")
    return keys


def _write(keys: list[bytes]) -> None:
    path = _path().resolve()  # a link stays one
    _replace(path, keys, path if path.exists() else config.data_dir())


def _replace(path: pathlib.Path, keys: list[bytes], like: pathlib.Path) -> None:
    """Replace the file as a whole, such that a power cut leaves the old one or the new one."""
    new = path.with_name(f"{path.name}.new")
    text = "".join(f"{base64.b64encode(key).decode()}\n" for key in keys)
    try:
        new.unlink(missing_ok=True)  # a kill may have left it
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            give_away(file.fileno(), like)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
        sync(path.parent)
    except OSError as e:
        raise SecretKeyError(f"cannot write the key file {path}: {e.strerror}") from None
