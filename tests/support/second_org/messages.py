"""The messages of the Pub/Sub API, made of a table of their fields (pubsub_api.proto of Salesforce, CC0)."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "eventbus.v1.PubSub"
LATEST, EARLIEST, CUSTOM = range(3)
"""The values of `ReplayPreset`."""

_FIELDS = {
    "TopicRequest": "topic_name=1",
    "TopicInfo": "topic_name=1 tenant_guid=2 can_publish=3:BOOL can_subscribe=4:BOOL schema_id=5 rpc_id=6",
    "SchemaRequest": "schema_id=1",
    "SchemaInfo": "schema_json=1 schema_id=2 rpc_id=3",
    "EventHeader": "key=1 value=2:BYTES",
    "ProducerEvent": "id=1 schema_id=2 payload=3:BYTES headers=4:*EventHeader",
    "ConsumerEvent": "event=1:ProducerEvent replay_id=2:BYTES",
    "FetchRequest": (
        "topic_name=1 replay_preset=2:INT32 replay_id=3:BYTES num_requested=4:INT32 auth_refresh=5"
    ),
    "FetchResponse": (
        "events=1:*ConsumerEvent latest_replay_id=2:BYTES rpc_id=3 pending_num_requested=4:INT32"
    ),
}
"""`name=number`, a string unless a type is given; `*` is repeated. An enum is an int32 on the wire."""


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="second.proto", package="eventbus.v1", syntax="proto3")
    for message, fields in _FIELDS.items():
        described = file.message_type.add(name=message)
        for text in fields.split():
            name, _, rest = text.partition("=")
            number, _, kind = rest.partition(":")
            field = described.field.add(
                name=name, number=int(number), label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
            )
            if kind.startswith("*"):
                field.label = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
            if (other := kind.removeprefix("*")) in _FIELDS:
                field.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".eventbus.v1.{other}"
            else:
                field.type = descriptor_pb2.FieldDescriptorProto.Type.Value(f"TYPE_{other or 'STRING'}")
    return file


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_file())


def message(name: str) -> Any:
    """The class of a message; a pool of its own keeps it apart from other definitions."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"eventbus.v1.{name}"))
