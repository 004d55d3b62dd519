"""The objects of the RTS package."""

from __future__ import annotations

from dataclasses import replace

from rtssim.schema.fields import area, auto_number, checkbox, integer, moment, number, reference, text, url
from rtssim.schema.model import ObjectType
from rtssim.schema.setup_objects import custom


def package_objects() -> list[ObjectType]:
    """Return the objects of the RTS package, which an org has only once the package is installed."""
    settings = [
        text("Name", 80, name_field=True),
        reference("SetupOwnerId", "Organization;Profile;User", None, "keep", nillable=False),
        checkbox("Disable_RTS__c"),
        checkbox("Error_Logging__c", default=True),
        replace(url("Gateway_URL__c"), label="Gateway URL"),
        text("Token__c", 255),
        text("Org_Id__c", 18),
        text("Channel__c", 20),
        checkbox("Sealed__c"),
    ]
    synced = [
        reference("OwnerId", "Group;User", None, "keep", nillable=False, default="$user"),
        auto_number("Name", "Synced Field Name"),
        text("Key__c", 120, external_id=True, unique=True, nillable=False),
        text("Object__c", 80),
        text("Field__c", 80),
        checkbox("Condition__c"),
    ]
    error = [
        reference("OwnerId", "Group;User", None, "keep", nillable=False, default="$user"),
        auto_number("Name", "Error Number"),
        text("Object__c", 80),
        text("Operation__c", 20),
        area("Record_Ids__c", 32768),
        integer("HTTP_Status__c", 3),
        text("Message__c", 255),
        area("Stack__c", 32768),
        integer("Attempt__c", 3),
        text("Request_Id__c", 64),
        text("Batch_Uid__c", 64),
        area("Payload__c", 131072),
        moment("Occurred_At__c"),
    ]
    return [
        custom("RTS_Change__e", "RTS Changes", "e00", [area("Payload__c", 131072)], undeletable=False),
        _status(),
        custom("RTS_Settings__c", "RTS Settings", "a01", settings, custom_setting=True, undeletable=False),
        custom("RTS_Synced_Field__c", "RTS Synced Fields", "a02", synced),
        custom("RTS_Error__c", "RTS Errors", "a03", error),
        push_event(),
    ]


def _status() -> ObjectType:
    fields = [
        reference("OwnerId", "Group;User", None, "keep", nillable=False, default="$user"),
        auto_number("Name", "Status Number"),
        text("Key__c", 18, external_id=True, unique=True, nillable=False),
        text("Summary__c", 255),
        moment("Last_Heartbeat_At__c"),
        moment("Last_Answer_At__c"),
        text("Last_Answer__c", 255),
        moment("Last_Relayed_At__c"),
        moment("Unanswered_Since__c"),
        text("Relay_Status__c", 40),
        text("Relay_Error__c", 255),
        integer("Waiting__c", 9),
        integer("Errors_24h__c", 9),
        url("Gateway__c"),
        text("Channel__c", 20),
        text("Version__c", 20),
    ]
    return custom("RTS_Status__c", "RTS Status", "a04", fields)


def push_event() -> ObjectType:
    """Return the platform event that carries pushes where the settings' channel is the stream."""
    fields = [
        text("Id__c", 255),
        text("Timestamp__c", 20),
        text("Signature__c", 255),
        number("Part__c", 18, 0),
        number("Parts__c", 18, 0),
        checkbox("Sealed__c"),
        area("Body__c", 131072),
    ]
    return custom("RTS_Push__e", "RTS Pushes", "e01", fields, undeletable=False)
