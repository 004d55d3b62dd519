"""The API's messages, built from a table of their fields (pubsub_api.proto, package eventbus.v1).

They live in a pool of their own: a client in the same process brings its own messages of the same names.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "eventbus.v1"
_TABLE = {
    "TopicRequest": "topic_name=1",
    "TopicInfo": "topic_name=1 tenant_guid=2 can_publish=3:bool can_subscribe=4:bool schema_id=5 rpc_id=6",
    "SchemaRequest": "schema_id=1",
    "SchemaInfo": "schema_json=1 schema_id=2 rpc_id=3",
    "EventHeader": "key=1 value=2:bytes",
    "ProducerEvent": "id=1 schema_id=2 payload=3:bytes headers=4:EventHeader*",
    "ConsumerEvent": "event=1:ProducerEvent replay_id=2:bytes",
    "FetchRequest": "topic_name=1 replay_preset=2:ReplayPreset replay_id=3:bytes num_requested=4:int32"
    " auth_refresh=5",
    "FetchResponse": "events=1:ConsumerEvent* latest_replay_id=2:bytes rpc_id=3"
    " pending_num_requested=4:int32",
}
LATEST, EARLIEST, CUSTOM = range(3)
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "bool": _Field.TYPE_BOOL,
    "int32": _Field.TYPE_INT32,
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="pubsub_api.proto", package=PACKAGE, syntax="proto3")
    preset = file.enum_type.add(name="ReplayPreset")
    for place, value in enumerate(("LATEST", "EARLIEST", "CUSTOM")):
        preset.value.add(name=value, number=place)
    for name, fields in _TABLE.items():
        message = file.message_type.add(name=name)
        for text in fields.split():
            field, _, rest = text.partition("=")
            number, _, kind = rest.partition(":")
            _add_field(message, field, int(number), kind or "string")
    return file


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str) -> None:
    target = kind.removesuffix("*")
    label = _Field.LABEL_REPEATED if kind.endswith("*") else _Field.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if target in _SCALARS:
        field.type = _SCALARS[target]
    else:
        field.type = _Field.TYPE_ENUM if target == "ReplayPreset" else _Field.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{target}"


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_file())


def message(name: str) -> Any:
    """Return the class of a message."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))
