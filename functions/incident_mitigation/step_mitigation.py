"""StepMitigation: weighs fresh traffic, sets or lifts the mode that the ladder says, and tells when to come again."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import policy
from adapters.clock import now
from adapters.incidents import incidents_table, mitigations, signals
from adapters.incidents.incidents_table import Case
from domain.incidents.course import step
from domain.incidents.mitigation import Answer, Mitigation, MitigationSettings, Phase

LEAST_WAIT_SECONDS, MOST_WAIT_SECONDS = 1, 300
# Rows of this long before the step's own time may still have to be weighed.
LOOK_BACK_SECONDS = 1800

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    """Gives `phase` (DONE ends the machine), `wait_seconds`, and `ask` where an operator is asked something."""
    rules = policy.current()
    speed = rules.drill_speed
    moment = now() * speed
    case = incidents_table.find_case(event["incident_id"])
    if case is None or case.mitigation is None:
        logger.warning("nothing to mitigate", incident_id=event["incident_id"])
        return {"phase": Phase.DONE, "wait_seconds": 0, "ask": ""}
    after = _stepped(case, MitigationSettings.from_json(rules.incidents["mitigation"]), moment, speed)
    mode = _take_up(case, after, moment, speed)
    incidents_table.keep_case(case, now())
    logger.info("mitigation stepped", incident_id=event["incident_id"], phase=after.phase, mode=mode, ask=after.ask)
    wait = round(min(max((after.next_at - moment) / speed, LEAST_WAIT_SECONDS), MOST_WAIT_SECONDS))
    return {"phase": after.phase, "wait_seconds": wait, "ask": after.ask or ""}


def _stepped(case: Case, settings: MitigationSettings, moment: float, speed: float) -> Mitigation:
    """The case's mitigation, given the latest rows, an operator's word, and what else is done about the use case."""
    before = case.mitigation
    rows = signals.rows(case.incident.use_case, moment - LOOK_BACK_SECONDS, moment, speed)
    answer = Answer(case.answer) if case.answer else None
    found_again = before.phase is Phase.WATCHING and any(
        finding.sure and finding.since >= before.phase_at for finding in case.incident.findings.values()
    )
    return step(before, moment, rows, settings, answer, found_again, _others(case))


def _take_up(case: Case, after: Mitigation, moment: float, speed: float) -> str:
    """Put the mitigation's mode into force and take both into the case; gives the mode."""
    before = case.mitigation
    # The mode first: whoever dies between has set what the next run will set again.
    was = before.mode(before.stepped_at)
    mode = mitigations.enforce(case.incident, after, was, moment, speed)
    if (before.phase, before.ask, was) != (after.phase, after.ask, mode):
        case.note(moment, after.phase, mode=mode, ask=after.ask, relapses=after.relapses, outcome=after.outcome)
    case.mitigation, case.answer = after, None
    return mode


def _others(case: Case) -> list[Mitigation]:
    """What else is done about the use case: the strictest mode holds, so that one may hide what another judges."""
    incidents = incidents_table.find_watch(case.incident.use_case).incidents
    names = [one.incident_id for one in incidents if one.is_open and one.incident_id != case.incident.incident_id]
    return [each.mitigation for each in map(incidents_table.find_case, names) if each and each.mitigation]
