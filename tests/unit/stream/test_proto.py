"""The generated messages are those of the .proto file beside them."""

from __future__ import annotations

import re
from pathlib import Path

from rtsd.stream import pubsub_pb2

PROTO = Path(pubsub_pb2.__file__).with_name("pubsub.proto").read_text()


def test_the_generated_messages_have_the_fields_of_the_proto() -> None:
    """Name, number and multiplicity of each field, so that a change of one file is noticed."""
    written = {
        name: {
            (field, int(number), bool(repeated))
            for repeated, field, number in re.findall(r"(repeated )?\w+ (\w+) = (\d+);", body)
        }
        for name, body in re.findall(r"message (\w+) \{(.*?)\n\}", PROTO, re.DOTALL)
    }
    generated = {
        name: {(field.name, field.number, field.is_repeated) for field in message.fields}
        for name, message in pubsub_pb2.DESCRIPTOR.message_types_by_name.items()
    }
    assert generated == written
    assert "FetchRequest" in written
