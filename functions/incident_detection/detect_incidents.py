"""DetectIncidents: every minute reads what CloudWatch says, finds what is wrong, and says what to mitigate."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import modes_table, policy
from adapters.clock import now
from adapters.governance import audit_notes
from adapters.incidents import announcements, incidents_table, maintenance_table, mitigations, release, signals
from adapters.incidents.incidents_table import Case, Watch
from domain.characters import cleaned
from domain.errors import Overtaken
from domain.incidents import course, detectors, incidents
from domain.incidents.evidence import DetectorSettings
from domain.incidents.findings import Finding
from domain.incidents.incidents import Incident, IncidentChange, IncidentSettings
from domain.incidents.ladders import DISTURBS, NORMAL
from domain.incidents.mitigation import LET_BE, MitigationSettings, Phase
from domain.incidents.signals import MINUTE, SIGNALS
from domain.modes import ANY_TENANT, Mode, met_and, met_during
from domain.policy import SYSTEM, Policy

RESERVE_MILLISECONDS = 10_000
# A mitigation that did not step for this share of the time that its mode has left has lost its machine.
LOST_SHARE = 0.5
MOST_WORDS = 500
# Before the first run of all, this much of what was measured is taken in.
FIRST_LOOK_SECONDS = 3600

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    """Looks at every use case and the system, or at the one that a `report` is about; gives the mitigations to start.

    A report says its use case and words; an alarm, and who names a use case that does not exist, tell of the system.
    """
    rules = policy.current()
    audit_notes.policy_in_force(rules.version, rules.digest, now())
    report = _read(event.get("report"))
    names = [_scope(report, rules)] if report else [*sorted(rules.use_cases), SYSTEM]
    started, failed = _watch_each(names, rules, report, context)
    logger.info("incidents looked for", use_cases=len(names), mitigations=started, failed=failed)
    return {"mitigations": started}


def _read(report: object) -> dict | None:
    """A report whose parts are what they should be; one that makes no sense is shown to an operator as just that."""
    if not report:
        return None
    said = report if isinstance(report, dict) else {}
    use_case, words, severity = said.get("use_case"), said.get("words"), said.get("severity")
    return {
        "use_case": use_case if use_case is None or isinstance(use_case, str) else "of another type than text",
        "words": words if isinstance(words, str) else "a report came without words",
        "severity": severity if severity in (1, 2) and not isinstance(severity, bool) else 3,
    }


def _watch_each(names: list[str], rules: Policy, report: dict | None, context: LambdaContext) -> tuple[list[dict], int]:
    """Use case by use case, as far as time allows; gives the mitigations to start, and how many failed."""
    started, failed = [], 0
    for name in names:
        if context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS:
            logger.warning("use cases left to the next run", after=name)
            break
        try:
            started += _watch(name, rules, report)
        except Overtaken:
            logger.info("another run was first", use_case=name)
        except Exception:
            # One use case stops no other; the next minute's run meets it again.
            logger.exception("use case not watched", use_case=name)
            failed += 1
    return started, failed


def _scope(report: dict, rules: Policy) -> str:
    """What a report is about; words on an unknown use case degrade none, and are shown to an operator all the same."""
    named = report["use_case"]
    if named in rules.use_cases:
        return named
    if named:
        report["words"] = f"there is no use case {named[:64]!r}; {report['words']}"
    return SYSTEM


def _watch(use_case: str, rules: Policy, report: dict | None) -> list[dict]:
    speed = rules.drill_speed
    moment = now() * speed
    watch = incidents_table.find_watch(use_case)
    if use_case == SYSTEM and not report and not watch.incidents:
        return []
    watch.modes = met_and(watch.modes, moment, modes_table.fresh(ANY_TENANT, use_case).mode)
    cases = {one.incident_id: incidents_table.find_case(one.incident_id) for one in watch.incidents}
    in_hand = {name: case for name, case in cases.items() if case and case.mitigation and not case.mitigation.is_done}
    _take_over(watch, cases)
    findings = [] if use_case == SYSTEM else _observe(watch, in_hand, rules, moment)
    settings = IncidentSettings.from_json(rules.incidents["correlation"])
    known, changes = incidents.review(watch.incidents, findings, use_case, int(moment), settings, in_hand)
    if report:
        words = cleaned(report["words"])[:MOST_WORDS]
        known, more = incidents.report(known, words, use_case, int(moment), report["severity"])
        changes += more
    watch.incidents = known
    started = _take_up(known, cases, changes, rules, moment)
    # The cases came first: a run that dies here finds the same again, under the same names.
    incidents_table.keep_watch(watch, now())
    return started + _lost(in_hand, rules, moment)


def _take_over(watch: Watch, cases: dict[str, Case | None]) -> None:
    """What mitigations have shown: who is well again leaves no evidence, who is let be has to be learned anew."""
    taken = {}
    for name, case in cases.items():
        if case is None or case.mitigation is None:
            continue
        if case.mitigation.phase is Phase.WATCHING:
            taken[name] = restored_at = case.mitigation.phase_at
            if watch.taken_over.get(name) != restored_at:
                change = detectors.relearn if case.mitigation.outcome in LET_BE else detectors.calm
                watch.state = change(watch.state or {}, incidents.EXPLAINS[case.incident.type])
    watch.taken_over = taken


def _observe(watch: Watch, in_hand: dict[str, Case], rules: Policy, moment: float) -> list[Finding]:
    """Take in the minutes that are complete by now; gives what the last of them shows."""
    speed = rules.drill_speed
    settings = DetectorSettings.from_json(rules.incidents["detection"])
    explained = frozenset().union(*(incidents.EXPLAINS[case.incident.type] for case in in_hand.values()))
    since, until = (each * speed for each in maintenance_table.spell(watch.use_case))
    _mark_deploy(watch, rules, moment)
    findings: list[Finding] = []
    for row in signals.rows(watch.use_case, watch.seen_to or moment - FIRST_LOOK_SECONDS, moment, speed):
        in_force = met_during(watch.modes, row.at)
        disturbed = frozenset().union(*(DISTURBS.get(each, frozenset()) for each in in_force))
        if in_force - {Mode.NORMAL, Mode.ASK_LESS}:
            disturbed |= explained
        if since < row.at + MINUTE and row.at < until:
            disturbed = frozenset(SIGNALS)
        deployed = watch.deployed_at is not None and row.at <= watch.deployed_at < row.at + MINUTE
        watch.state, findings = detectors.observe(
            watch.state, row, settings, disturbed, learn=not in_hand, deployed=deployed
        )
        watch.seen_to = row.at
    return findings


def _mark_deploy(watch: Watch, rules: Policy, moment: float) -> None:
    """Code or policy that was not at work a minute ago: what changes a little now is no incident."""
    found = release.current(rules)
    if watch.release and found != watch.release:
        watch.deployed_at = moment
    watch.release = found


def _take_up(
    known: list[Incident],
    cases: dict[str, Case | None],
    changes: list[IncidentChange],
    rules: Policy,
    moment: float,
) -> list[dict]:
    """Keep what is known of each incident, and announce what changed; gives the mitigations that are to be started."""
    speed, started = rules.drill_speed, []
    changed = {change.incident.incident_id: change for change in changes}
    settings = MitigationSettings.from_json(rules.incidents["mitigation"])
    for incident in known:
        change = changed.get(incident.incident_id)
        case = cases.get(incident.incident_id)
        if case and case.incident == incident and not change:
            continue
        case = case or incidents_table.find_case(incident.incident_id)
        case = case or Case(incident, keep_days=rules.retention.incident_days)
        case.incident = incident
        if change:
            case.note(moment, change.kind, told=incident.explained(), severity=incident.severity)
        if incident.is_open and (case.mitigation is None or case.mitigation.is_done):
            case.mitigation = course.begin(incident, moment, settings)
            # At once: its machine takes over from here.
            mode = mitigations.enforce(incident, case.mitigation, NORMAL, moment, speed)
            case.note(moment, case.mitigation.phase, mode=mode, ask=case.mitigation.ask)
            started.append(_start(case))
        elif case.mitigation:
            case.mitigation = course.follow(case.mitigation, incident, moment, settings)
        incidents_table.keep_case(case, now())
    for change in changes:
        announcements.announce(change, speed)
    return started


def _start(case: Case) -> dict:
    incident_id = case.incident.incident_id
    return {"incident_id": incident_id, "name": f"{incident_id}-{case.incident.reopened}-{case.version}"[-80:]}


def _lost(in_hand: dict[str, Case], rules: Policy, moment: float) -> list[dict]:
    """Mitigations whose machine is gone: another one goes on where it was."""
    patience = LOST_SHARE * MitigationSettings.from_json(rules.incidents["mitigation"]).expiry_seconds
    return [_start(case) for case in in_hand.values() if moment - case.mitigation.stepped_at > patience]
