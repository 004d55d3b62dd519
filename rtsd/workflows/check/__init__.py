"""The preflight checks of `rtsd check`: login, org, permissions, objects, package, limits and cost.

It reads a few rows and writes nothing, neither in the org nor locally.
"""

from __future__ import annotations

from rtsd.config import Config
from rtsd.config.credentials import credentials
from rtsd.config.engine import engine_of
from rtsd.errors import AuthenticationFailed, OrgUnreachable, SalesforceError
from rtsd.machine import wall_ms
from rtsd.salesforce.client import Client
from rtsd.salesforce.ledger import NullLedger
from rtsd.salesforce.session import Session
from rtsd.sync import privacy_change
from rtsd.workflows.check import stages
from rtsd.workflows.check.report import CheckedObject, Report

__all__ = ["CheckedObject", "Report", "inspect"]


async def inspect(config: Config) -> Report:
    """Run all checks; the report's `problems` lists those that failed.

    Raises ConfigError for rules that name columns that their objects lack.
    """
    report = Report(warnings=list(stages.warnings(config)))
    engine = engine_of(config)
    await stages.store(engine, config, report)
    stages.commands(config, report)
    sections = [section.config() for section in config.objects]
    report.privacy = await privacy_change.preview(engine, sections)
    session = Session(credentials(config.org), NullLedger(), wall_ms)
    async with Client(session, NullLedger(), wall_ms, api_version=config.org.api_version) as client:
        try:
            await stages.org(client, report)
            await stages.own_mirror(engine, report)
            await stages.package(client, config, report)
            await stages.gateway(config, report)
            await stages.subscription(session, config, report)
            await stages.streams(config, report)
            await stages.selection(client, config, report)
            await stages.mirrored_objects(client, config, report)
            stages.rules(config, report.objects)
            await stages.price(client, config, report)
        except (AuthenticationFailed, OrgUnreachable) as error:
            report.add(error)
        except SalesforceError as error:
            report.add(error, "The checks of the org are incomplete: ")
    return report
