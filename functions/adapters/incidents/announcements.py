"""What changed about an incident is told: on the bus to whoever listens, and to the audit log."""

from aws_lambda_powertools import Logger

from adapters import bus
from adapters.clock import iso, now
from adapters.governance import audit_notes
from domain.governance import audit
from domain.incidents.incidents import IncidentChange

logger = Logger(child=True)


def announce(change: IncidentChange, speed: float) -> None:
    """Tell of one change; a repeated run tells it under the same id."""
    incident = change.incident
    detail = {
        "event_id": _event_id(change),
        "incident_id": incident.incident_id,
        "use_case": incident.use_case,
        "type": incident.type,
        "severity": incident.severity,
        "change": change.kind,
        "since": iso(incident.since / speed),
        "at": iso(incident.seen_at / speed),
        "explanation": incident.explained()[:2000],
        "runbook": f"docs/runbooks/{incident.type.lower().replace('_', '-')}.md",
    }
    [error] = bus.publish([bus.entry("IncidentChanged", detail)])
    about = {name: detail[name] for name in ("incident_id", "use_case", "type", "severity")}
    audit_notes.leave(f"INCIDENT_{change.kind}", audit.SYSTEM, now(), detail["event_id"], **about)
    logger.warning("incident changed", incident_id=incident.incident_id, change=change.kind, refused=error)


def _event_id(change: IncidentChange) -> str:
    incident = change.incident
    return bus.event_id(incident.incident_id, change.kind, str(incident.reopened), str(incident.severity))
