"""Mitigation: what is known of one incident's way down a ladder of modes and back, and the settings of that way."""

from dataclasses import dataclass, field
from enum import StrEnum

from domain.incidents.findings import Finding
from domain.incidents.incidents import IncidentType
from domain.incidents.ladders import NORMAL, Rung

# Outcomes: shown to be well; let be although it may be ill, and then what it is like has to be learned anew.
RESTORED, TOLERATED, OPERATOR_RESTORED = "RESTORED", "TOLERATED", "OPERATOR_RESTORED"
LET_BE = frozenset({TOLERATED, OPERATOR_RESTORED})


class Phase(StrEnum):
    VERIFYING = "VERIFYING"  # the rung is set; does fresh traffic say that it helps?
    HOLDING = "HOLDING"  # on the rung, until the next probe
    PROBING = "PROBING"  # normal operation for a short while
    JUDGING = "JUDGING"  # on the rung again, until the probe's metrics are in
    WATCHING = "WATCHING"  # restored; does it stay well?
    DONE = "DONE"


ON_RUNG = frozenset({Phase.VERIFYING, Phase.HOLDING, Phase.JUDGING})


class Ask(StrEnum):
    """What an operator is asked about; nothing waits for the answer but the next rung."""

    APPROVE_RUNG = "APPROVE_RUNG"  # the next rung needs a person's word
    EXHAUSTED = "EXHAUSTED"  # there is no further rung
    SEVERE = "SEVERE"
    FLAPPING = "FLAPPING"  # it came back too often: held for long
    REPORTED = "REPORTED"  # no metric shows it, only a person can say that it is over


class Answer(StrEnum):
    APPROVE = "approve"  # the next rung
    RESTORE = "restore"  # normal operation, whatever metrics say
    HOLD = "hold"  # stay on this rung, without probes


@dataclass(frozen=True, slots=True)
class MitigationSettings:
    """The policy's section incidents.mitigation."""

    ladders: dict[str, tuple[Rung, ...]]
    needs_operator: tuple[Rung, ...] = (Rung.REFUSE,)
    severe_skips: tuple[Rung, ...] = (Rung.STRICTER_REVIEW,)  # at severity 1, where another rung is left
    settle_seconds: int = 30  # a mode is cached for 5 s, and requests are on their way
    metric_delay_seconds: int = 180  # by then a minute's row is in
    verify_seconds: int = 600
    ill_nats: float = 3.0  # evidence that a rung does not help, or a probe went wrong
    well_nats: float = 5.0  # more is asked of what leads back: a wrong restoration is a flap
    min_samples: int = 15
    probe_after_seconds: int = 300
    probe_after_most: int = 1800
    probe_seconds: int = 150
    probe_most: int = 1200
    watch_seconds: int = 900
    relapse_nats: float = 10.0
    flap_limit: int = 2
    mild_types: tuple[str, ...] = (IncidentType.MODEL_DRIFT,)  # answers that are other, not worse
    mild_seconds: int = 5400  # these, and severity 3, are not degraded for longer: that costs more than it saves
    hold_seconds: int = 5400  # after too many relapses, an operator's word, or a report
    expiry_seconds: int = 600
    renew_seconds: int = 60
    operator_seconds: int = 900  # at severity 1, silence approves after this

    @classmethod
    def from_json(cls, raw: dict) -> "MitigationSettings":
        lists = {name: tuple(map(Rung, raw[name])) for name in ("needs_operator", "severe_skips") if name in raw}
        lists |= {"mild_types": tuple(raw["mild_types"])} if "mild_types" in raw else {}
        ladders = {name: tuple(map(Rung, rungs)) for name, rungs in raw["ladders"].items()}
        return cls(**raw | lists | {"ladders": ladders})


@dataclass(frozen=True, slots=True)
class Mitigation:
    incident_id: str
    type: str
    severity: int
    ladder: tuple[Rung, ...]
    rung: int  # place in the ladder
    began_at: float
    phase: Phase
    phase_at: float
    stepped_at: float
    until: float  # the rung is void from then on
    next_at: float
    fresh_from: float  # rows that begin earlier say nothing
    fresh_until: float | None = None
    judged_to: float = 0.0
    evidence: dict[str, tuple[float, int]] = field(default_factory=dict)  # nats that it is still so, samples
    findings: dict[str, Finding] = field(default_factory=dict)
    probe_at: float = 0.0
    is_firm: bool = False  # held for long: no other mitigation's probe is joined
    probe_seconds: float = 0.0
    backoff: int = 0
    relapses: int = 0
    ask: Ask | None = None
    asked_at: float = 0.0
    overruled: bool = False  # restored in spite of what metrics say; they do not take that back
    outcome: str | None = None

    @classmethod
    def from_json(cls, raw: dict) -> "Mitigation":
        return cls(
            **raw
            | {
                "ladder": tuple(map(Rung, raw["ladder"])),
                "phase": Phase(raw["phase"]),
                "ask": Ask(raw["ask"]) if raw["ask"] else None,
                "evidence": {name: (nats, samples) for name, (nats, samples) in raw["evidence"].items()},
                "findings": {name: Finding.from_json(each) for name, each in raw["findings"].items()},
            }
        )

    def to_json(self) -> dict:
        return {name: getattr(self, name) for name in self.__slots__} | {
            "ladder": [str(rung) for rung in self.ladder],
            "phase": str(self.phase),
            "ask": str(self.ask) if self.ask else None,
            "evidence": {name: list(each) for name, each in self.evidence.items()},
            "findings": {name: finding.to_json() for name, finding in self.findings.items()},
        }

    @property
    def is_done(self) -> bool:
        return self.phase is Phase.DONE

    def mode(self, now: float) -> str:
        """The mode that this mitigation wants now; one that nobody renewed is void."""
        if self.phase in ON_RUNG and self.ladder and now < self.until:
            return self.ladder[self.rung]
        return NORMAL
