"""The standard CRM objects, from Account to Attachment."""

from __future__ import annotations

from typing import Any

from rtssim.schema.fields import (
    READ_ONLY,
    address,
    area,
    audit,
    binary,
    checkbox,
    date,
    derived,
    email,
    formula,
    ident,
    integer,
    moment,
    money,
    multipicklist,
    number,
    percent,
    person_name,
    phone,
    picklist,
    reference,
    text,
    time_of_day,
    url,
)
from rtssim.schema.model import Field, ObjectType

INDUSTRIES = (
    "Agriculture;Apparel;Banking;Biotechnology;Chemicals;Construction;Consulting;Education;Electronics;Energy"
)
SOURCES = "Web;Phone Inquiry;Partner Referral;Purchased List;Webinar;Trade Show;Word of mouth;Other"
STAGES = (
    "Prospecting;Qualification;Needs Analysis;Value Proposition;Proposal/Price Quote;Negotiation/Review;"
    "Closed Won;Closed Lost"
)
LANGUAGES = "English;Deutsch;Français;Ελληνικά;Русский;العربية;עברית;中文;日本語;한국어;ไทย;हिन्दी"


def _object(name: str, plural: str, prefix: str, fields: list[Field], **flags: Any) -> ObjectType:
    return ObjectType(name, name, plural, prefix, {field.name: field for field in fields}, **flags)


def _owner(children: str | None, targets: str = "User") -> Field:
    return reference("OwnerId", targets, children, "keep", nillable=False, default="$user")


def _activity() -> list[Field]:
    return [
        date("LastActivityDate", **READ_ONLY),
        moment("LastViewedDate", **READ_ONLY),
        moment("LastReferencedDate", **READ_ONLY),
    ]


def account() -> ObjectType:
    """Return Account, with a tier that contacts show by formula and a roll-up of its open pipeline."""
    pipeline = (
        "(SELECT round(sum(o.Amount), 2) FROM Opportunity o WHERE o.AccountId = {t}.Id AND o.IsDeleted = 0"
        " AND o.StageName NOT IN ('Closed Won', 'Closed Lost'))"
    )
    fields = [
        ident(),
        *audit(),
        reference("MasterRecordId", "Account", None, "keep", **READ_ONLY),
        text("Name", 255, nillable=False, name_field=True),
        picklist("Type", "Prospect;Customer - Direct;Customer - Channel;Partner;Other"),
        reference("ParentId", "Account", "ChildAccounts"),
        *address("Billing"),
        *address("Shipping"),
        phone("Phone"),
        phone("Fax"),
        text("AccountNumber", 40),
        url("Website"),
        text("Sic", 20),
        picklist("Industry", INDUSTRIES),
        money("AnnualRevenue", 18, 0),
        integer("NumberOfEmployees", 8),
        picklist("Ownership", "Public;Private;Subsidiary;Other"),
        text("TickerSymbol", 20),
        area("Description", 32000),
        picklist("Rating", "Hot;Warm;Cold"),
        text("Site", 80),
        _owner("Accounts"),
        *_activity(),
        picklist("AccountSource", SOURCES),
        picklist("Tier__c", "Bronze;Silver;Gold;Platinum"),
        text("ERP_Key__c", 40, external_id=True, unique=True),
        checkbox("Active__c", default=True),
        percent("Discount__c", 5, 2),
        formula(money("Open_Pipeline__c"), pipeline, None),
    ]
    return _object("Account", "Accounts", "001", fields, mergeable=True)


def contact() -> ObjectType:
    """Return Contact, with a field of every type that a mirror must hold."""
    tier = "(SELECT a.Tier__c FROM Account a WHERE a.Id = {t}.AccountId)"
    fields = [
        ident(),
        *audit(),
        reference("MasterRecordId", "Contact", None, "keep", **READ_ONLY),
        reference("AccountId", "Account", "Contacts", "cascade"),
        *person_name(),
        *address("Other"),
        *address("Mailing"),
        phone("Phone"),
        phone("Fax"),
        phone("MobilePhone"),
        phone("HomePhone"),
        phone("AssistantPhone"),
        reference("ReportsToId", "Contact", "Reports"),
        email("Email"),
        text("Title", 128),
        text("Department", 80),
        text("AssistantName", 40),
        picklist("LeadSource", SOURCES),
        date("Birthdate"),
        area("Description", 32000),
        _owner("Contacts"),
        checkbox("HasOptedOutOfEmail"),
        checkbox("DoNotCall"),
        *_activity(),
        text("EmailBouncedReason", 255),
        moment("EmailBouncedDate"),
        checkbox("IsEmailBounced", **READ_ONLY),
        picklist("Level__c", "Primary;Secondary;Tertiary"),
        multipicklist("Languages__c", LANGUAGES),
        multipicklist("Interests__c", "Sync;Reports;E-mail;Events;Training"),
        number("Score__c", 10, 4),
        percent("Engagement__c", 5, 2),
        money("Lifetime_Value__c", 16, 2),
        integer("Logins__c", 9),
        moment("Last_Contacted__c"),
        time_of_day("Best_Time__c"),
        area("Notes__c", 32768),
        text("External_Key__c", 40, external_id=True, unique=True),
        formula(text("Account_Tier__c", 1300), tier, "TEXT(Account.Tier__c)"),
    ]
    return _object("Contact", "Contacts", "003", fields, mergeable=True)


def lead() -> ObjectType:
    """Return Lead, which a queue can own and which can be converted."""
    fields = [
        ident(),
        *audit(),
        reference("MasterRecordId", "Lead", None, "keep", **READ_ONLY),
        *person_name(),
        text("Title", 128),
        text("Company", 255, nillable=False),
        *address(""),
        phone("Phone"),
        phone("MobilePhone"),
        phone("Fax"),
        email("Email"),
        url("Website"),
        area("Description", 32000),
        picklist("LeadSource", SOURCES),
        picklist(
            "Status",
            "Open - Not Contacted;Working - Contacted;Closed - Converted;Closed - Not Converted",
            nillable=False,
            default="Open - Not Contacted",
        ),
        picklist("Industry", INDUSTRIES),
        picklist("Rating", "Hot;Warm;Cold"),
        money("AnnualRevenue", 18, 0),
        integer("NumberOfEmployees", 8),
        _owner("Leads", "Group;User"),
        checkbox("HasOptedOutOfEmail"),
        checkbox("IsConverted", createable=True, updateable=False),
        date("ConvertedDate", **READ_ONLY),
        reference("ConvertedAccountId", "Account", None, "keep", **READ_ONLY),
        reference("ConvertedContactId", "Contact", None, "keep", **READ_ONLY),
        reference("ConvertedOpportunityId", "Opportunity", None, "keep", **READ_ONLY),
        checkbox("IsUnreadByOwner", default=True),
        *_activity(),
        checkbox("Webinar_Attended__c"),
        number("Fit__c", 6, 3),
        text("Lead_Key__c", 40, external_id=True, unique=True),
    ]
    return _object("Lead", "Leads", "00Q", fields, mergeable=True)


def opportunity() -> ObjectType:
    """Return Opportunity; IsClosed, IsWon and the fiscal period are derived from stage and close date."""
    closed = "{t}.StageName IN ('Closed Won', 'Closed Lost')"
    fields = [
        ident(),
        *audit(),
        reference("AccountId", "Account", "Opportunities", "cascade"),
        checkbox("IsPrivate"),
        text("Name", 120, nillable=False, name_field=True),
        area("Description", 32000),
        picklist("StageName", STAGES, nillable=False),
        money("Amount"),
        percent("Probability", 3, 0),
        derived(money("ExpectedRevenue"), "round({t}.Amount * {t}.Probability / 100.0, 2)"),
        number("TotalOpportunityQuantity", 18, 2),
        date("CloseDate", nillable=False),
        picklist("Type", "Existing Business;New Business"),
        text("NextStep", 255),
        picklist("LeadSource", SOURCES),
        derived(checkbox("IsClosed"), closed),
        derived(checkbox("IsWon"), "{t}.StageName IS 'Closed Won'"),
        reference("CampaignId", "Campaign", "Opportunities"),
        reference("ContactId", "Contact", None, "clear", updateable=False),
        checkbox("HasOpportunityLineItem", **READ_ONLY),
        _owner("Opportunities"),
        derived(integer("FiscalYear", 9), "CAST(substr({t}.CloseDate, 1, 4) AS INTEGER)"),
        derived(integer("FiscalQuarter", 9), "(CAST(substr({t}.CloseDate, 6, 2) AS INTEGER) + 2) / 3"),
        *_activity(),
        text("Order_Number__c", 40, external_id=True),
    ]
    return _object("Opportunity", "Opportunities", "006", fields)


def task() -> ObjectType:
    """Return Task, whose WhoId and WhatId refer to several objects."""
    fields = [
        ident(),
        *audit(),
        reference("WhoId", "Contact;Lead", "Tasks", "cascade"),
        reference("WhatId", "Account;Opportunity;Campaign;Invoice__c", "Tasks", "cascade"),
        text("Subject", 255, name_field=True),
        date("ActivityDate"),
        picklist(
            "Status",
            "Not Started;In Progress;Completed;Waiting on someone else;Deferred",
            nillable=False,
            default="Not Started",
        ),
        picklist("Priority", "High;Normal;Low", nillable=False, default="Normal"),
        derived(checkbox("IsHighPriority"), "{t}.Priority IS 'High'"),
        _owner("Tasks", "Group;User"),
        area("Description", 32000),
        derived(checkbox("IsClosed"), "{t}.Status IS 'Completed'"),
        checkbox("IsArchived", **READ_ONLY),
        integer("CallDurationInSeconds", 8),
        picklist("CallType", "Internal;Inbound;Outbound"),
        moment("ReminderDateTime"),
        checkbox("IsReminderSet"),
        moment("CompletedDateTime", **READ_ONLY),
    ]
    return _object("Task", "Tasks", "00T", fields)


def campaign() -> ObjectType:
    """Return Campaign."""
    fields = [
        ident(),
        *audit(),
        text("Name", 80, nillable=False, name_field=True),
        reference("ParentId", "Campaign", "ChildCampaigns"),
        picklist("Type", "Conference;Webinar;Trade Show;Advertisement;Email;Telemarketing;Other", 40),
        picklist("Status", "Planned;In Progress;Completed;Aborted", 40, default="Planned"),
        date("StartDate"),
        date("EndDate"),
        money("ExpectedRevenue", 18, 0),
        money("BudgetedCost", 18, 0),
        money("ActualCost", 18, 0),
        percent("ExpectedResponse", 10, 2),
        number("NumberSent", 18, 0),
        checkbox("IsActive"),
        area("Description", 32000),
        _owner("Campaigns"),
        *_activity(),
    ]
    return _object("Campaign", "Campaigns", "701", fields)


def campaign_member() -> ObjectType:
    """Return CampaignMember, which has no recycle bin: a delete is final."""
    fields = [
        ident(),
        *audit(),
        reference("CampaignId", "Campaign", "CampaignMembers", "cascade", nillable=False, updateable=False),
        reference("LeadId", "Lead", "CampaignMembers", "cascade", updateable=False),
        reference("ContactId", "Contact", "CampaignMembers", "cascade", updateable=False),
        picklist("Status", "Sent;Responded;Registered;Attended", 40, default="Sent"),
        derived(checkbox("HasResponded"), "coalesce({t}.Status IN ('Responded', 'Attended'), 0)"),
        date("FirstRespondedDate", **READ_ONLY),
    ]
    return _object("CampaignMember", "Campaign Members", "00v", fields, undeletable=False)


def attachment() -> ObjectType:
    """Return Attachment, the object with a base64 field."""
    fields = [
        ident(),
        *audit(),
        reference("ParentId", "Account;Contact;Lead;Opportunity", "Attachments", "cascade", nillable=False),
        text("Name", 255, nillable=False, name_field=True),
        checkbox("IsPrivate"),
        text("ContentType", 120),
        integer("BodyLength", 9, **READ_ONLY),
        binary("Body", nillable=False),
        _owner(None),
        text("Description", 500),
    ]
    return _object("Attachment", "Attachments", "00P", fields, triggerable=True)


def objects() -> list[ObjectType]:
    """Return every standard CRM object."""
    return [
        account(),
        contact(),
        lead(),
        opportunity(),
        task(),
        campaign(),
        campaign_member(),
        attachment(),
    ]


ROLLUPS = {"Opportunity": ("AccountId", ("AccountId", "Amount", "StageName", "IsDeleted"))}
"""Child object -> its reference to the account with the roll-up, and the child fields that it sums over."""
