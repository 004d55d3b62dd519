"""Setup objects (users, groups, Apex, permissions) and custom objects."""

from __future__ import annotations

from typing import Any

from rtssim.schema.fields import (
    READ_ONLY,
    address,
    area,
    audit,
    checkbox,
    date,
    email,
    ident,
    integer,
    label_of,
    moment,
    money,
    percent,
    person_name,
    picklist,
    reference,
    text,
    url,
)
from rtssim.schema.model import Field, ObjectType


def _setup(name: str, plural: str, prefix: str, fields: list[Field], **flags: Any) -> ObjectType:
    flags = {"undeletable": False, "triggerable": False, "searchable": False, "layoutable": False, **flags}
    return ObjectType(name, label_of(name), plural, prefix, {field.name: field for field in fields}, **flags)


def _user() -> ObjectType:
    fields = [
        ident(),
        text("Username", 80, nillable=False, unique=True),
        *person_name(),
        email("Email", nillable=False),
        text("Alias", 8, nillable=False),
        text("Title", 80),
        text("Department", 80),
        text("CompanyName", 80),
        checkbox("IsActive", default=True),
        picklist(
            "TimeZoneSidKey",
            "GMT;Europe/Berlin;America/Los_Angeles;Asia/Tokyo",
            nillable=False,
            default="GMT",
        ),
        picklist("LocaleSidKey", "en_US;de_DE;ja_JP", nillable=False, default="en_US"),
        picklist("LanguageLocaleKey", "en_US;de;ja", nillable=False, default="en_US"),
        picklist("UserType", "Standard;PowerPartner;AutomatedProcess", **READ_ONLY),
        reference("ProfileId", "Profile", None, "keep"),
        reference("ManagerId", "User", "ManagedUsers", "keep"),
        *audit(deletable=False),
    ]
    return _setup("User", "Users", "005", fields, deletable=False, triggerable=True, searchable=True)


def _organization() -> ObjectType:
    fields = [
        ident(),
        text("Name", 80, nillable=False, name_field=True),
        text("Division", 80),
        *[f for f in address("") if f.type != "address"],
        text("PrimaryContact", 80),
        text("OrganizationType", 40, **READ_ONLY),
        checkbox("IsSandbox", **READ_ONLY),
        checkbox("IsReadOnly", **READ_ONLY),
        text("InstanceName", 5, **READ_ONLY),
        text("NamespacePrefix", 15, **READ_ONLY),
        moment("TrialExpirationDate", **READ_ONLY),
        text("LanguageLocaleKey", 40),
        text("DefaultLocaleSidKey", 40),
        text("TimeZoneSidKey", 40),
        integer("FiscalYearStartMonth", 2),
        *audit(deletable=False),
    ]
    return _setup("Organization", "Organization", "00D", fields, createable=False, deletable=False)


def _people() -> list[ObjectType]:
    profile = [ident(), text("Name", 255, nillable=False, name_field=True), *audit(deletable=False)]
    group = [
        ident(),
        text("Name", 40, nillable=False, name_field=True),
        text("DeveloperName", 80),
        picklist("Type", "Regular;Queue;Role", nillable=False),
        email("Email"),
        *audit(deletable=False),
    ]
    record_type = [
        ident(),
        text("Name", 80, nillable=False, name_field=True),
        text("DeveloperName", 80, nillable=False),
        picklist("SobjectType", "Account;Contact;Lead;Opportunity", nillable=False),
        checkbox("IsActive", default=True),
        area("Description", 255),
        *audit(deletable=False),
    ]
    return [
        _setup("Profile", "Profiles", "00e", profile, createable=False, updateable=False, deletable=False),
        _setup("Group", "Groups", "00G", group),
        _setup("RecordType", "Record Types", "012", record_type),
    ]


def _permissions() -> list[ObjectType]:
    permission_set = [
        ident(),
        text("Name", 80, nillable=False, name_field=True),
        text("Label", 80, nillable=False),
        area("Description", 255),
        checkbox("IsCustom", default=True, **READ_ONLY),
        checkbox("IsOwnedByProfile", **READ_ONLY),
        checkbox("PermissionsApiEnabled"),
        checkbox("PermissionsViewAllData"),
        checkbox("PermissionsViewSetup"),
        text("NamespacePrefix", 15, **READ_ONLY),
        *audit(deletable=False),
    ]
    assignment = [
        ident(),
        reference("PermissionSetId", "PermissionSet", "Assignments", "cascade", nillable=False),
        reference("AssigneeId", "User", "PermissionSetAssignments", "keep", nillable=False),
        checkbox("IsActive", default=True, **READ_ONLY),
        moment("SystemModstamp", nillable=False, **READ_ONLY),
    ]
    custom = [
        ident(),
        text("DeveloperName", 80, nillable=False, name_field=True),
        text("MasterLabel", 80, nillable=False),
        text("NamespacePrefix", 15, **READ_ONLY),
        *audit(deletable=False),
    ]
    on_objects = [
        ident(),
        reference("ParentId", "PermissionSet", "ObjectPerms", "cascade", nillable=False),
        text("SobjectType", 80, nillable=False),
        *(
            checkbox(f"Permissions{right}")
            for right in ("Create", "Read", "Edit", "Delete", "ViewAllRecords", "ModifyAllRecords")
        ),
        *audit(deletable=False),
    ]
    return [
        _setup("ObjectPermissions", "Object Permissions", "110", on_objects),
        _setup("CustomPermission", "Custom Permissions", "0CP", custom),
        _setup("PermissionSet", "Permission Sets", "0PS", permission_set),
        _setup("PermissionSetAssignment", "Permission Set Assignments", "0Pa", assignment),
    ]


def _apex(name: str, plural: str, prefix: str, extra: list[Field]) -> ObjectType:
    fields = [
        ident(),
        text("NamespacePrefix", 15),
        text("Name", 255, nillable=False, name_field=True),
        integer("ApiVersion", 5, default=66),
        picklist("Status", "Active;Inactive;Deleted", nillable=False, default="Active"),
        checkbox("IsValid", default=True),
        integer("LengthWithoutComments", 9, default=0),
        area("Body", 1000000),
        *extra,
        *audit(deletable=False),
    ]
    return _setup(name, plural, prefix, fields, replicateable=False)


def _cron_trigger() -> ObjectType:
    fields = [
        ident(),
        text("CronExpression", 255),
        picklist("State", "WAITING;ACQUIRED;EXECUTING;COMPLETE;ERROR;DELETED;PAUSED"),
        moment("NextFireTime"),
        moment("PreviousFireTime"),
        moment("StartTime"),
        integer("TimesTriggered", 9, default=0),
        reference("CronJobDetailId", "CronJobDetail", None, "keep"),
        reference("OwnerId", "User", None, "keep", default="$user"),
        *audit(deletable=False),
    ]
    return _setup("CronTrigger", "Scheduled Jobs", "08e", fields, replicateable=False)


def _jobs() -> list[ObjectType]:
    """Return scheduled and running Apex (Object Reference: CronTrigger, CronJobDetail, AsyncApexJob)."""
    detail = [ident(), text("Name", 255, nillable=False, name_field=True), text("JobType", 255)]
    job = [
        ident(),
        reference("ApexClassId", "ApexClass", None, "keep"),
        reference("CronTriggerId", "CronTrigger", None, "keep"),
        text("JobType", 40),
        picklist("Status", "Holding;Queued;Preparing;Processing;Completed;Failed;Aborted"),
        *audit(deletable=False),
    ]
    return [
        _cron_trigger(),
        _setup("CronJobDetail", "Cron Job Details", "08a", detail, replicateable=False),
        _setup("AsyncApexJob", "Apex Jobs", "707", job, replicateable=False),
    ]


def _remote_proxy() -> ObjectType:
    """Return the object of remote sites (Tooling API guide, RemoteProxy)."""
    fields = [
        ident(),
        text("SiteName", 80, nillable=False, name_field=True),
        text("EndpointUrl", 255, nillable=False),
        checkbox("IsActive", default=True),
        *audit(deletable=False),
    ]
    return _setup("RemoteProxy", "Remote Proxies", "0rp", fields, replicateable=False)


def _folder() -> ObjectType:
    """Return folders of reports (Object Reference, Folder)."""
    fields = [
        ident(),
        text("Name", 80, nillable=False, name_field=True),
        text("DeveloperName", 80, nillable=False),
        picklist("Type", "Report;Dashboard;Document;Email", nillable=False),
        *audit(deletable=False),
    ]
    return _setup("Folder", "Folders", "00l", fields, replicateable=False)


def _event_bus() -> list[ObjectType]:
    """Return the subscriptions of platform events (Object Reference; Tooling API guide)."""
    subscriber = [
        ident(),
        text("ExternalId", 18),
        text("Name", 80),
        text("Topic", 80),
        text("Type", 40),
        picklist("Status", "Running;Error;Suspended;Repartitioning"),
        text("LastError", 255),
        integer("Retries", 9),
        integer("Position", 9),
        integer("Tip", 9),
        text("LastProcessed", 40),
        text("LastPublished", 40),
        checkbox("IsPartitioned"),
    ]
    configuration = [
        ident(),
        text("DeveloperName", 80, nillable=False),
        text("MasterLabel", 80, nillable=False),
        text("PlatformEventConsumerId", 18),
        reference("UserId", "User", None, "keep"),
        integer("BatchSize", 9),
        *audit(deletable=False),
    ]
    member = [
        ident(),
        text("DeveloperName", 80),
        text("EventChannel", 80, nillable=False),
        text("SelectedEntity", 80, nillable=False),
        *audit(deletable=False),
    ]
    return [
        _setup(
            "PlatformEventChannelMember",
            "Platform Event Channel Members",
            "0v8",
            member,
            replicateable=False,
        ),
        _setup("EventBusSubscriber", "Event Bus Subscribers", "0eB", subscriber, replicateable=False),
        _setup(
            "PlatformEventSubscriberConfig",
            "Platform Event Subscriber Configurations",
            "9V2",
            configuration,
            replicateable=False,
        ),
    ]


def custom(name: str, plural: str, prefix: str, fields: list[Field], **flags: Any) -> ObjectType:
    """Return a custom object, custom setting or platform event."""
    columns = [ident(), *audit(), *fields]
    return ObjectType(name, label_of(name), plural, prefix, {field.name: field for field in columns}, **flags)


def _invoice() -> ObjectType:
    fields = [
        reference("OwnerId", "Group;User", None, "keep", nillable=False, default="$user"),
        text("Name", 80, name_field=True, nillable=False),
        reference("Account__c", "Account", "Invoices__r", "clear"),
        reference("Contact__c", "Contact", "Invoices__r", "clear"),
        money("Total__c", 16, 2),
        percent("Tax__c", 4, 1),
        date("Issued__c"),
        date("Due__c"),
        moment("Paid_At__c"),
        checkbox("Paid__c"),
        picklist("Status__c", "Draft;Sent;Paid;Overdue;Void", restricted_picklist=True, default="Draft"),
        text("Number__c", 20, external_id=True, unique=True),
        area("Memo__c", 131072),
        url("Document__c"),
    ]
    return custom("Invoice__c", "Invoices", "a00", fields)


def objects() -> list[ObjectType]:
    """Return the setup objects and the customer's custom object."""
    table = [text("TableEnumOrId", 40, nillable=False)]
    return [
        _user(),
        _organization(),
        *_people(),
        *_permissions(),
        _apex("ApexClass", "Apex Classes", "01p", []),
        _apex("ApexTrigger", "Apex Triggers", "01q", table),
        *_jobs(),
        _remote_proxy(),
        _folder(),
        *_event_bus(),
        _invoice(),
    ]
