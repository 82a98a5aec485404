"""A coded timing beside its own text: agreeing texts pass, differing ones are refused with both readings in words.

The situations are those of HL7's medication request examples and of real records, in our own words.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.enrol import orders
from tests.unit.enrol.orders import coded, dosage, often, repeat

D = "MedicationRequest.dosageInstruction[0]"
R = f"{D}.timing.repeat"
DOSE = f"{D}.doseAndRate[0].doseQuantity"
MG = {"doseAndRate": [{"doseQuantity": {"value": 50, "unit": "mg", "code": "mg"}}]}

DIFFER: list[tuple[dict[str, Any], str, str]] = [
    (dosage(often(4), "One tablet daily"), R, "The text says once a day; the timing says 4 times a day."),
    (dosage(often(1), "1 tablet four times a day"), R, "The text says 4 times a day; the timing says once a day."),
    (dosage(coded("TID"), "take 1 tablet b.i.d."), R, "The text says 2 times a day; the timing says 3 times a day."),
    (dosage(often(1, 8, "h"), "1 tablet every 6 hours"), R, "The text says once every 6 hours; the timing says every 8 hours."),
    (dosage(often(1), "1 tablet every other day"), R, "once every 2 days"),
    (dosage(often(1), "1 tablet weekly"), R, "The text says once a week; the timing says once a day."),
    (dosage(often(1, 1, "wk"), "1 tablet daily"), R, "The text says once a day; the timing says once a week."),
    (dosage(often(2), "1-2 times daily"), R, "1 to 2 times a day"),
    (dosage(often(1, 6, "h"), "1 tablet every 4-6 hours"), R, "once every 4 to 6 hours"),
    (dosage(often(1), "1 tablet every morning and every evening"), R, "2 times a day (evening, morning)"),
    (dosage(repeat(timeOfDay=["08:00:00", "20:00:00"]), "1 tablet in the morning"), R, "once a day (morning)"),
    (
        dosage(often(1, boundsPeriod={"start": "2026-12-01", "end": "2026-12-05"}), "1 tablet daily for 7 days"),
        f"{R}.boundsPeriod.end",
        "The text says for 7 days; the timing says for 5 days.",
    ),
    (dosage(often(1), "1 tablet daily for 5 days"), f"{R}.bounds[x]", "The text says for 5 days; the timing says no end."),
    (dosage(often(1), "1 tablet daily x 2 weeks"), f"{R}.bounds[x]", "for 2 weeks"),
    (dosage(often(1, count=5), "once daily for 10 days"), f"{R}.count", "for 10 days"),
    (
        dosage(often(1, boundsDuration={"value": 10, "code": "d"}), "daily for 7-10 days"),
        f"{R}.boundsDuration",
        "for 7 to 10 days",
    ),
    (dosage(often(1), "1 tablet daily as needed for pain"), f"{D}.asNeeded[x]", "The text says as needed"),
    (dosage(often(1, 4, "h"), "1 tablet every four hours PRN"), f"{D}.asNeeded[x]", "as needed"),
    (dosage(often(1), "1 tablet daily if needed", asNeededBoolean=False), f"{D}.asNeeded[x]", "as needed"),
    (dosage(often(1), "2 tablets once daily"), DOSE, "The text says 2 tablet; the timing says 1 tablet."),
    (dosage(often(1), "one and a half tablets daily"), DOSE, "1.5 tablet"),
    (dosage(often(1), "1 to 2 tablets daily"), DOSE, "1 to 2 tablet"),
    (dosage(often(2), "1 tablet in the morning and 2 tablets at bedtime"), DOSE, "1 tablet, 2 tablet"),
    (dosage(often(1), "take 100 mg daily", **MG), DOSE, "The text says 100 mg; the timing says 50 mg."),
    (dosage(often(1), "two 50 mg tablets daily", **MG), DOSE, "100 mg"),
    (dosage(often(1), "0.5 g daily", **MG), DOSE, "500 mg"),
    (dosage(often(1), "1 tablet before lunch"), f"{R}.when", "The text says at lunch; the timing says no time of day."),
    (dosage(often(1), "1 tablet daily at bedtime"), f"{R}.when", "at bedtime"),
    (dosage(often(1), "1 tablet at night"), f"{R}.when", "at night"),
    (dosage(often(3), "1 tablet 3 times a day with meals"), f"{R}.when", "with meals"),
    (dosage(often(1), "1 tablet at 9am"), f"{R}.timeOfDay", "The text says at 09:00; the timing says no time of day."),
    (dosage(repeat(timeOfDay=["20:00:00"]), "1 tablet at 8am daily"), f"{R}.timeOfDay", "at 08:00"),
    (dosage(repeat(timeOfDay=["08:00:00"]), "1 tablet daily at bedtime"), f"{R}.when", "another time of day"),
    (dosage(coded("AM"), "1 tablet every evening"), f"{R}.when", "at evening"),
    (dosage(often(1), "1 tablet on Mondays and Thursdays"), f"{R}.dayOfWeek", "mon, thu"),
    (dosage(often(1, dayOfWeek=["mon"]), "once daily on Tuesday"), f"{R}.dayOfWeek", "tue"),
    (dosage(often(1), "1 tablet daily for 3 days, then 2 tablets daily"), f"{D}.text", "steps, one after the other"),
    (dosage(often(1), "1 tablet daily, increase by 1 tablet every week"), f"{D}.text", "steps"),
    (dosage(often(1), "sliding scale, before each meal"), f"{D}.text", "depends on something else"),
    (dosage(often(1), "once daily, may repeat after 2 hours"), f"{D}.text", "depends on something else"),
    (dosage(often(1), "once daily for a maximum of 5 days"), f"{R}.bounds[x]", "for 5 days"),
    (dosage(often(1), "1 tablet 2 (two) times daily"), R, "2 times a day"),
    (dosage(often(1), "1 tablet every 6 (six) hours as needed", asNeededBoolean=True), R, "once every 6 hours"),
    (dosage(often(1), "1 tablet daily, 2 weeks on, 1 week off"), f"{D}.text", "steps"),
    (dosage(often(1), "Two tablets as a single dose"), DOSE, "2 tablet"),
    (dosage(often(1), "take once"), f"{R}.count", "a single dose"),
    (dosage(often(1), "1 tablet daily starting January 16, 2027"), f"{R}.boundsPeriod.start", "it starts on 2027-01-16"),
    (
        dosage(often(1, boundsPeriod={"start": "2026-12-01"}), "1 tablet daily starting December 2"),
        f"{R}.boundsPeriod.start",
        "The text says it starts on --12-02; the timing says it starts on 2026-12-01.",
    ),
    (dosage(often(1), patientInstruction="Take one tablet twice a day"), R, "2 times a day"),
    (
        dosage(often(1), additionalInstruction=[{"text": "Take at bedtime"}]),
        f"{R}.when",
        "The additional instruction says at bedtime",
    ),
    (dosage({**often(1), "code": {"text": "twice daily"}}), R, "2 times a day"),
    (dosage(often(1), "500 mg IV once daily"), f"{D}.text", "infusion"),
]


@pytest.mark.parametrize(("one", "element", "reason"), DIFFER)
def test_a_text_that_says_otherwise(one: Any, element: str, reason: str) -> None:
    row, plan = orders.enrolled(one)
    assert (row.outcome, row.element) == ("refused", element), row
    assert reason in (row.reason or ""), row.reason
    assert plan is None


AGREE: list[dict[str, Any]] = [
    dosage(often(1), "7mg once daily", doseAndRate=[{"doseQuantity": {"value": 7, "unit": "mg"}}]),
    dosage(often(1), "Take one (1) tablet by mouth every morning."),
    dosage(often(2), "1 tablet twice daily"),
    dosage(often(2), "1 tablet in the morning and in the evening"),
    dosage(often(2), "1 tab po bid"),
    dosage(often(1, 8, "h"), "one tablet every eight hours"),
    dosage(often(1, 8, "h"), "1 tablet three times a day"),
    dosage(often(3), "1 tablet t.i.d. with or after food"),
    dosage(often(1, 2), "1 tablet every other day"),
    dosage(often(1, 1, "wk"), "1 tablet once a week"),
    dosage(often(3, 1, "wk", dayOfWeek=["mon", "wed", "fri"]), "1 tablet three times a week"),
    dosage(often(1, dayOfWeek=["mon", "wed", "fri"]), "1 tablet once daily on Mon, Wed and Fri"),
    dosage(
        often(1, boundsPeriod={"start": "2026-12-01", "end": "2026-12-07"}), "1 tablet daily for 7 days starting December 1, 2026"
    ),
    dosage(often(2, count=14), "1 tablet twice a day for 7 days"),
    dosage(often(1, boundsDuration={"value": 1, "code": "mo"}), "1 tablet daily for one month"),
    dosage(often(1, count=1, boundsPeriod={"start": "2026-12-01"}), "take once"),
    dosage(repeat(timeOfDay=["09:00:00"]), "Apply to affected areas at 9am daily"),
    dosage(repeat(timeOfDay=["22:00:00"]), "1 tablet at bedtime"),
    dosage(repeat(timeOfDay=["07:30:00"]), "1 tablet before breakfast"),
    dosage(coded("BED"), "1 tablet at bedtime"),
    dosage(coded("AM"), "1 tablet every morning"),
    dosage(often(1), "take 50 mg daily", **MG),
    dosage(often(1), "take two 25 mg tablets daily", **MG),
    dosage(often(1), "take 0.05 g daily", **MG),
    dosage(often(1), "1 tablet (50 mg) daily"),
    dosage(often(1, 1, "wk", dayOfWeek=["sun"]), "1 tablet once a week on Sunday"),
    dosage(often(2), "Take 1 tablet (50 mg total) by mouth 2 (two) times daily."),
    dosage(often(1), "1 tablet daily", doseAndRate=[{"doseQuantity": {"value": 1, "unit": "tablet(s)"}}]),
    dosage(often(1), "take as directed"),
    dosage(often(1), "Tomar una tableta por la mañana"),
    dosage(often(2), "1 tablet twice a day. Do not exceed 4 tablets per day"),
    dosage(often(1, 6, "h"), "1 tablet every 6 hours as needed", asNeededBoolean=True),
    dosage(often(1), "1 tablet at bedtime as needed", asNeededCodeableConcept={"text": "sleep"}),
    dosage(
        often(1), "once daily", doseAndRate=[{"doseQuantity": {"value": 0.5, "unit": "TAB"}}], patientInstruction="half a tablet"
    ),
]


@pytest.mark.parametrize("one", AGREE, ids=lambda one: one.get("text"))
def test_a_text_that_says_the_same(one: Any) -> None:
    row, _ = orders.enrolled(one)
    assert row.outcome == "enrolled", row


def test_a_text_that_two_instructions_share_is_held_against_both() -> None:
    text = "1 tablet at 8am and 2 tablets at 10pm"
    morning = dosage(repeat(timeOfDay=["08:00:00"]), text)
    night = dosage(repeat(timeOfDay=["22:00:00"]), text, doseAndRate=[{"doseQuantity": {"value": 2, "unit": "TAB"}}])
    row, plan = orders.enrolled(morning, night)
    assert row.outcome == "enrolled", row
    assert plan is not None
    doses = plan["medicines"][0]["steps"][0]["doses"]
    assert [(dose["slot"], dose["quantity"]) for dose in doses] == [("t0800", "1"), ("t2200", "2")]
    row, _ = orders.enrolled(morning | orders.TABLET, night | orders.TABLET)
    assert row.outcome == "refused"
