"""A schedule of the template really fires."""

from datetime import timedelta

from small_cloud import eventually, seen, start_small

from bulwark.local.events import schedules


def test_a_schedule_invokes_its_function_with_its_input(monkeypatch):
    def soon(schedule, after):
        assert schedule["ScheduleExpression"] == "rate(1 minute)"
        return after + timedelta(seconds=0.5)

    monkeypatch.setattr(schedules, "next_firing", soon)
    with start_small(schedules=True) as cloud:
        eventually(lambda: seen(cloud, "tick") >= 2)
