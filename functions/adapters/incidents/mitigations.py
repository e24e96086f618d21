"""What a mitigation wants is put into force: its mode in the control table, and the word about it on the bus."""

from aws_lambda_powertools import Logger

from adapters import bus, modes_table
from adapters.clock import iso
from domain.incidents.incidents import Incident
from domain.incidents.ladders import NORMAL
from domain.incidents.mitigation import Mitigation
from domain.modes import ANY_TENANT, Mode, owner_of

logger = Logger(child=True)


def enforce(incident: Incident, mitigation: Mitigation, was: str, moment: float, speed: float) -> str:
    """Set the mitigation's mode until it would be void, or lift it; another incident's stays. Gives the mode."""
    mode, owner = mitigation.mode(moment), owner_of(incident.incident_id)
    if mode == NORMAL:
        modes_table.lift(ANY_TENANT, incident.use_case, owner)
    else:
        modes_table.hold(ANY_TENANT, incident.use_case, owner, Mode(mode), mitigation.until / speed, None)
    if mode != was:
        detail = {
            "event_id": bus.event_id(incident.incident_id, mode, str(mitigation.phase_at)),
            "incident_id": incident.incident_id,
            "use_case": incident.use_case,
            "mode": mode,
            "phase": mitigation.phase,
            "at": iso(moment / speed),
        }
        [error] = bus.publish([bus.entry("ModeChanged", detail)])
        logger.warning("mode changed", incident_id=incident.incident_id, mode=mode, refused=error)
    return mode
