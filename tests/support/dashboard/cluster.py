"""What a daemon says that shares its mirror with others, at the scenarios' moment."""

from __future__ import annotations

from rtsd.control.protocol import Node, PublishedStream, Refusals, SeenNode, Status, Store
from tests.support.dashboard.scenarios import ago, healthy


def clustered(name: str = "a") -> Status:
    """Two nodes on PostgreSQL, of which this one leads or stands by; a third differs. Changes go to NATS."""
    status = healthy()
    status.store = Store(
        engine="postgresql",
        place="postgresql://rtsd@db.acme.com/crm",
        bytes=3_412_000_000,
        id="00aa11bb22cc33dd",
    )
    status.node = Node(name=name, leader=name == "a", leader_name="a", epoch=7, since=ago(40_000))
    refused = Refusals(count=30, at=ago(600), reason="signature does not match")
    status.nodes = [
        SeenNode(name="b", leader=False, epoch=None, since=ago(90_000), seen_at=ago(1), refused=refused),
        SeenNode(name="a", leader=True, epoch=7, since=ago(40_000), seen_at=ago(1)),
        SeenNode(
            name="c", leader=False, epoch=None, since=ago(300), seen_at=ago(2), differs=["objects", "rules"]
        ),
    ]
    url = ["nats://127.0.0.1:4222"]
    status.streams = [
        PublishedStream(name="rts", stream="rts", url=url, connected=True, acknowledged=398, published=1_042),
        PublishedStream(
            name="audit",
            stream="rts-audit",
            url=url,
            connected=False,
            lag=812,
            lag_s=400,
            published=17,
            error="nats: no responders for the stream rts-audit",
        ),
    ]
    return status
