"""Decodes the few protobuf messages that helm and kubectl send even to a server that speaks JSON.

Typed clients do so since client-go 0.33: helm for its release Secrets, kubectl for `create`.
"""

import base64

from tests.kube.errors import ApiError

_MAGIC = b"k8s\x00"
_LENGTH_DELIMITED = 2

# Field number -> (name, what it holds): text, bytes, a map, or another message by its name.
_TEXT, _BYTES, _TEXT_MAP, _BYTES_MAP = "text", "bytes", "text map", "bytes map"
_MESSAGES = {
    "Unknown": {1: ("type", "TypeMeta"), 2: ("raw", _BYTES)},
    "TypeMeta": {1: ("apiVersion", _TEXT), 2: ("kind", _TEXT)},
    "ObjectMeta": {
        1: ("name", _TEXT),
        2: ("generateName", _TEXT),
        3: ("namespace", _TEXT),
        6: ("resourceVersion", _TEXT),
        11: ("labels", _TEXT_MAP),
        12: ("annotations", _TEXT_MAP),
    },
    "MapEntry": {1: ("key", _TEXT), 2: ("value", _BYTES)},
    "Namespace": {1: ("metadata", "ObjectMeta")},
    "ConfigMap": {
        1: ("metadata", "ObjectMeta"),
        2: ("data", _TEXT_MAP),
        3: ("binaryData", _BYTES_MAP),
    },
    "Secret": {
        1: ("metadata", "ObjectMeta"),
        2: ("data", _BYTES_MAP),
        3: ("type", _TEXT),
        4: ("stringData", _TEXT_MAP),
    },
    "SelfSubjectAccessReview": {1: ("metadata", "ObjectMeta")},
}


def decode(body: bytes) -> dict:
    """The object in a body of type application/vnd.kubernetes.protobuf, as its JSON would be."""
    if not body.startswith(_MAGIC):
        raise ApiError(400, "BadRequest", "the body is not Kubernetes protobuf")
    envelope = _message("Unknown", body[len(_MAGIC) :])
    kind = envelope["type"]["kind"]
    if kind not in _MESSAGES:
        raise ApiError(415, "UnsupportedMediaType", f"cannot decode a {kind} from protobuf")
    decoded = _message(kind, envelope.get("raw", b""))
    return {**envelope["type"], "metadata": {}, **decoded}


def _message(message, encoded):
    decoded = {}
    for number, raw in _fields(encoded):
        name, holds = _MESSAGES[message].get(number, (None, None))
        if holds in (_TEXT_MAP, _BYTES_MAP):
            entry = _message("MapEntry", raw)
            text = _map_value(holds, entry.get("value", b""))
            decoded.setdefault(name, {})[entry.get("key", "")] = text
        elif name:
            decoded[name] = _value(holds, raw)
    return decoded


def _value(holds, raw):
    if holds == _TEXT:
        return raw.decode()
    return raw if holds == _BYTES else _message(holds, raw)


def _map_value(holds, raw):
    return base64.b64encode(raw).decode() if holds == _BYTES_MAP else raw.decode()


def _fields(encoded):
    """Each length-delimited field's number and bytes; numbers and flags are skipped."""
    at = 0
    while at < len(encoded):
        tag, at = _varint(encoded, at)
        length, at = _varint(encoded, at)
        if tag & 7 == _LENGTH_DELIMITED:
            yield tag >> 3, encoded[at : at + length]
            at += length


def _varint(encoded, at):
    value = shift = 0
    while True:
        byte = encoded[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at
