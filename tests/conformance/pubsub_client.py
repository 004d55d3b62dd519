"""A client of Salesforce's own stubs and Apache Avro; prints each event as a line of JSON.

In a process of its own, because a process can hold only one definition of the messages. Arguments: target,
topic, number of events, access token, instance URL, org id.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import avro.io
import avro.schema
import grpc
from sfprotostash import pubsub_api_pb2 as pb
from sfprotostash import pubsub_api_pb2_grpc as stubs

WITHIN_S = 30.0


def show(document: object) -> None:
    """Print a line."""
    sys.stdout.write(json.dumps(document) + "\n")


def main(target: str, topic: str, count: int, *credentials: str) -> None:
    """Subscribe, decode and print."""
    metadata = tuple(zip(("accesstoken", "instanceurl", "tenantid"), credentials, strict=True))
    with grpc.insecure_channel(target) as channel:
        stub = stubs.PubSubStub(channel)
        info = stub.GetTopic(pb.TopicRequest(topic_name=topic), metadata=metadata)
        show({"topic": info.topic_name, "can_subscribe": info.can_subscribe})

        def requests() -> Iterator[Any]:
            yield pb.FetchRequest(
                topic_name=topic, replay_preset=pb.ReplayPreset.EARLIEST, num_requested=count
            )

        left = count
        for response in stub.Subscribe(requests(), metadata=metadata, timeout=WITHIN_S):
            for event in response.events:
                text = stub.GetSchema(pb.SchemaRequest(schema_id=event.event.schema_id), metadata=metadata)
                reader = avro.io.DatumReader(avro.schema.parse(text.schema_json))
                show(reader.read(avro.io.BinaryDecoder(io.BytesIO(event.event.payload))))
            left -= len(response.events)
            if not left:
                return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
