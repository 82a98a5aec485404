"""`enrol` against the real system: exact objects, exit codes, drafts, refusals that leave nothing half done, reruns."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from shared.events.base import stable_id
from shared.identity import clinic_id_of
from tests.integration.enrol.conftest import Clinic, Json
from tests.support.stack import ROOT

FIELDS = ["file", "item", "outcome", "paused", "element", "reason", "accepted", "slots"]
SLOT_FIELDS = ["times", "times_from", "every", "days", "until", "as_needed", "dose"]
_NUMBERS = count(1)


def patient(external: str, **more: Any) -> Json:
    """A patient with everything; `...` leaves a field out."""
    whole = {
        "id": external,
        "name": f"Patient {external}",
        "phone": f"+1202555{next(_NUMBERS):04d}",
        "zone": "America/New_York",
        "consent": {"given_on": "2026-01-05", "how": "paper", "to_whom": "desk"},
        "plan": {"slots": {"morning": "08:00"}, "medicines": [medicine()]},
    }
    return {name: value for name, value in (whole | more).items() if value is not ...}


def medicine(external: str = "m1", **more: Any) -> Json:
    doses = [{"slot": "morning", "quantity": "1", "unit": "tablet"}]
    return {"id": external, "steps": [{"from_day": 1, "doses": doses}]} | more


def file_of(*patients: Json, **more: Any) -> Json:
    return {"steadypath": 1, "patients": list(patients)} | more


def request(external: str, of: str, **more: Any) -> Json:
    dosage = {
        "text": "one tablet at night",
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "timeOfDay": ["21:00:00"]}},
        "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}],
    }
    whole: Json = {
        "resourceType": "MedicationRequest",
        "id": external,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "a tablet"},
        "subject": {"reference": f"Patient/{of}"},
        "authoredOn": "2026-11-02",
        "dosageInstruction": [dosage],
    }
    return whole | more


def test_the_examples_go_in_and_again_change_nothing(clinic: Clinic) -> None:
    files = [str(ROOT / "examples" / name) for name in ("titration.yaml", "fhir-bundle.json")]
    first = clinic.enrol(*files)
    assert first.code == 1
    assert first.outcomes() == {
        "person/dr-okafor": "enrolled",
        "Practitioner/dr-haddad": "enrolled",
        "patient/maya": "enrolled",
        "medicine/maya-morning": "enrolled",
        "Patient/leo": "enrolled",
        "Consent/leo-texts": "enrolled",
        "MedicationRequest/leo-sertraline": "enrolled",
        "MedicationRequest/leo-hydroxyzine": "enrolled",
        "MedicationRequest/leo-gabapentin": "refused",
    }
    for row in first.rows:
        assert list(row) == FIELDS
        assert all(list(slot) == SLOT_FIELDS for slot in row["slots"])
    refused = next(row for row in first.rows if row["outcome"] == "refused")
    assert refused["element"] == "MedicationRequest.dosageInstruction[0].timing.repeat"
    again = clinic.enrol(*files)
    assert again.code == 1
    assert set(again.outcomes().values()) == {"unchanged", "refused"}
    assert clinic.get("/scheduler/patients/maya/plan").body["plan_version"] == 1
    leo = clinic.get("/scheduler/patients/leo/plan").body
    assert sorted(one["id"] for one in leo["medicines"].values()) == ["leo-hydroxyzine", "leo-sertraline"]


def test_the_documents_own_example_goes_in(clinic: Clinic) -> None:
    text = (ROOT / "docs" / "native-format.md").read_text("utf-8").split("```yaml\n")[1].split("```")[0]
    ran = clinic.enrol(clinic.file("doc.yaml", text.replace("maya", "documented")))
    assert (ran.code, set(ran.outcomes().values())) == (0, {"enrolled"}) or ran.outcomes()["person/dr-okafor"] == "unchanged"
    assert ran.outcomes()["patient/documented"] == "enrolled"


def test_ours_or_the_clinics_id_lead_to_the_same(clinic: Clinic) -> None:
    assert clinic.enrol(clinic.file("ids.json", file_of(patient("mrn-77")))).code == 0
    ours = stable_id(clinic_id_of("clinic"), "patient", "mrn-77")
    for path in ("/scheduler/patients/{}/plan", "/notifier/patients/{}"):
        assert clinic.get(path.format("mrn-77")).body == clinic.get(path.format(ours)).body
        assert clinic.get(path.format(ours)).status == 200


@pytest.mark.parametrize(
    ("missing", "element"),
    [
        ({"phone": ...}, "phone"),
        ({"zone": ...}, "zone"),
        ({"consent": ...}, "consent"),
        ({"phone": ..., "zone": ...}, "phone, zone"),
    ],
)
def test_a_draft_is_stored_names_what_is_missing_and_is_done_once_it_is_there(
    clinic: Clinic, missing: Json, element: str
) -> None:
    external = "draft-" + "-".join(missing)
    whole = patient(external)
    lacking = {name: value for name, value in whole.items() if name not in missing}
    for _ in range(2):
        ran = clinic.enrol(clinic.file("draft.json", file_of(lacking)))
        assert ran.code == 0
        assert [(row["outcome"], row["element"]) for row in ran.rows] == [("draft", element)] * 2
        assert all(row["reason"] and row["accepted"] for row in ran.rows)
    assert clinic.get(f"/scheduler/patients/{external}/plan").status == 200
    done = clinic.enrol(clinic.file("draft.json", file_of(whole)))
    assert (done.code, done.outcomes()[f"patient/{external}"]) == (0, "enrolled")
    assert set(clinic.enrol(clinic.file("draft.json", file_of(whole))).outcomes().values()) == {"unchanged"}


def test_what_is_on_record_already_makes_no_draft(clinic: Clinic) -> None:
    """A later file that says nothing of phone and consent leaves them, and needs them no more."""
    whole = patient("known")
    clinic.enrol(clinic.file("known.json", file_of(whole)))
    less = {name: value for name, value in whole.items() if name not in ("phone", "consent")}
    assert set(clinic.enrol(clinic.file("known.json", file_of(less))).outcomes().values()) == {"unchanged"}
    assert clinic.get("/notifier/patients/known").body["phone"] == whole["phone"]


def test_consent_for_all_is_recorded_once_and_never_over_a_patients_own(clinic: Clinic) -> None:
    own, none = patient("own-consent"), patient("no-consent", consent=...)
    path = clinic.file("consent.json", file_of(own, none))
    assert clinic.enrol(path, "--consent", "asked by phone").code == 0
    assert clinic.get("/notifier/patients/own-consent").body["consent"]["how"] == "paper"
    given = clinic.get("/notifier/patients/no-consent").body["consent"]
    assert (given["how"], given["to_whom"]) == ("asked by phone", "the clinic")
    clinic.up.advance(by="P1D")
    assert set(clinic.enrol(path, "--consent", "asked by phone").outcomes().values()) == {"unchanged"}
    assert clinic.get("/notifier/patients/no-consent").body["consent"] == given


REFUSED_BY: dict[str, tuple[Json, str]] = {
    "notifier": ({"phone": "+1 999"}, "phone"),
    "adherence": ({"care_team": [{"person": "on-call", "wait": "P30D"}]}, "care_team[0].wait"),
    "scheduler": ({"plan": {"slots": {"a": "08:00", "b": "08:00"}, "medicines": []}}, "plan.slots.b"),
    "nobody": ({"care_team": [{"person": "who-is-that"}]}, "care_team[0].person"),
    "zone": ({"zone": "America/Atlantis"}, "zone"),
}


@pytest.mark.parametrize("service", REFUSED_BY)
def test_a_refusal_of_one_service_leaves_nothing_half_done(clinic: Clinic, service: str) -> None:
    wrong, element = REFUSED_BY[service]
    name = f"half-{service}"
    ran = clinic.enrol(clinic.file("half.json", file_of(patient(f"{name}0", **wrong), patient(f"{name}1"))))
    assert ran.code == 1
    assert next((row["outcome"], row["element"]) for row in ran.rows if row["outcome"] == "refused") == (
        "refused",
        f"line 1: {element}",
    )
    assert ran.outcomes()[f"patient/{name}1"] == "enrolled"
    clinic.settle()
    for table in ("notifier.contact", "scheduler.plan", "adherence.patient"):
        assert clinic.count(table, name) == 1, table


def test_all_or_nothing(clinic: Clinic) -> None:
    good, bad = patient("all-0"), patient("all-1", phone="+1 999")
    ran = clinic.enrol(clinic.file("a.json", file_of(good)), clinic.file("b.json", file_of(bad)), "--all-or-nothing")
    assert ran.code == 1
    assert {row["outcome"] for row in ran.rows} == {"refused"}
    assert "all-or-nothing" in next(row["reason"] for row in ran.rows if row["item"] == "patient/all-0")
    assert next(row["element"] for row in ran.rows if row["item"] == "patient/all-1") == "line 1: phone"
    clinic.settle()
    for table in ("notifier.contact", "scheduler.plan", "adherence.patient"):
        assert clinic.count(table, "all-") == 0, table
    mended = clinic.enrol(
        clinic.file("a.json", file_of(good)), clinic.file("b.json", file_of(patient("all-1"))), "--all-or-nothing"
    )
    assert (mended.code, set(mended.outcomes().values())) == (0, {"enrolled"})
    again = clinic.enrol(clinic.file("a.json", file_of(good)), "--all-or-nothing")
    assert (again.code, set(again.outcomes().values())) == (0, {"unchanged"})


def test_a_file_that_cannot_be_read_keeps_all_out_only_with_all_or_nothing(clinic: Clinic) -> None:
    good, cut = clinic.file("good.json", file_of(patient("beside-0"))), clinic.file("cut.json", '{"steadypath": 1, "pat')
    ran = clinic.enrol(good, cut, "--all-or-nothing")
    assert (ran.code, {row["outcome"] for row in ran.rows}) == (1, {"refused"})
    assert clinic.count("notifier.contact", "beside-") == 0
    ran = clinic.enrol(good, cut)
    assert ran.code == 1
    assert [(row["item"], row["outcome"]) for row in ran.rows] == [
        (None, "refused"),
        ("patient/beside-0", "enrolled"),
        ("medicine/m1", "enrolled"),
    ]


def test_a_request_joins_the_plan_that_there_is(clinic: Clinic) -> None:
    clinic.enrol(clinic.file("native.json", file_of(patient("joins"))))
    fhir = clinic.file("request.json", request("night", "joins"))
    for outcome in ("enrolled", "unchanged"):
        ran = clinic.enrol(fhir)
        assert (ran.code, ran.outcomes()) == (0, {"MedicationRequest/night": outcome})
    plan = clinic.get("/scheduler/patients/joins/plan").body
    assert sorted(one["id"] for one in plan["medicines"].values()) == ["m1", "night"]
    assert plan["zone"] == "America/New_York"
    on_hold = clinic.enrol(clinic.file("hold.json", request("later", "joins", status="on-hold")))
    assert (on_hold.code, on_hold.outcomes()) == (1, {"MedicationRequest/later": "refused"})


def test_a_moment_of_the_day_is_that_of_the_routine_on_record(clinic: Clinic) -> None:
    whole = patient("sleeper", plan={}, routine={"sleep": "23:15"})
    assert clinic.enrol(clinic.file("routine.json", file_of(whole))).code == 0
    timing = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "when": ["HS"]}}
    dosage = {
        "text": "one tablet at bedtime",
        "timing": timing,
        "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}],
    }
    fhir = clinic.file("moment.json", request("night", "sleeper", dosageInstruction=[dosage]))
    for outcome in ("enrolled", "unchanged"):
        ran = clinic.enrol(fhir)
        assert [(row["outcome"], row["slots"][0]["times"], row["slots"][0]["times_from"]) for row in ran.rows] == [
            (outcome, ["23:15"], "routine")
        ]


def test_a_request_on_hold_goes_in_paused(clinic: Clinic) -> None:
    clinic.enrol(clinic.file("contact.json", file_of(patient("held", plan=...))))
    ran = clinic.enrol(clinic.file("held.json", request("h1", "held", status="on-hold")))
    assert [(row["outcome"], row["paused"]) for row in ran.rows] == [("draft", True)]  # without a zone nothing goes
    assert clinic.get("/scheduler/patients/held/plan").body["status"] == "paused"


def test_check_needs_no_system_and_says_the_same(clinic: Clinic) -> None:
    files = [str(ROOT / "examples" / name) for name in ("titration.yaml", "fhir-bundle.json")]
    with clinic.start("--check", "--json", *files, "--url", "http://127.0.0.1:9") as process:
        out, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (1, "")
    assert out.count('"enrolled"') == 8
    assert out.count('"refused"') == 1
    before = clinic.count("notifier.contact", "checked")
    wrong = clinic.enrol("--check", clinic.file("w.json", file_of(patient("checked0", phone="+1 999"), patient("checked1"))))
    assert [row["element"] for row in wrong.rows if row["outcome"] == "refused"] == ["line 1: phone"] * 2
    assert clinic.count("notifier.contact", "checked") == before == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [([], 2), (["--nonsense"], 2), (["no-such-file.yaml"], 2), (["--consent", "", "x"], 2), (["/dev/null"], 1)],
)
def test_exit_codes(clinic: Clinic, arguments: list[str], code: int) -> None:
    with clinic.start(*arguments) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert errors.strip()


def test_a_person_reads_counts_refusals_and_what_drafts_lack(clinic: Clinic) -> None:
    path = clinic.file(
        "human.json", file_of(patient("human-0"), patient("human-1", phone=...), patient("human-2", zone="Nowhere"))
    )
    with clinic.start(path) as process:
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    lines = out.splitlines()
    assert "2 enrolled, 2 draft, 2 refused." in lines
    assert "No text goes for drafts until they have: phone (2)." in lines
    assert f"{path}: medicine/m1: enrolled; 1 tablet at 08:00" in lines
    assert [line.split(": ")[2] for line in errors.splitlines()] == ["patient/human-2", "medicine/m1"]
    assert "Nowhere" not in out + errors


def test_many_care_teams_in_one_request(clinic: Clinic) -> None:
    def teams(*items: tuple[str, Any], dry: bool = False) -> list[tuple[str, str | None]]:
        body = {"items": [{"patient": one, "care_team": team} for one, team in items]}
        answer = clinic.up.call("POST", f"/adherence/bulk/care-teams?dry_run={str(dry).lower()}", body)
        assert answer.status == 200, answer.body
        return [(one["outcome"], one["element"]) for one in answer.body["items"]]

    good = {"chain": [{"person": "on-call", "wait": "PT30M"}]}
    mixed = [("team-0", good), ("team-1", {"chain": []}), ("team-0", good), ("no id", good), ("team-2", 5)]
    assert teams(("team-0", good), dry=True) == [("valid", None)]
    assert clinic.count("adherence.patient", "team-") == 0
    assert teams(*mixed) == [("changed", None), ("refused", "chain"), ("refused", "id"), ("refused", "id"), ("refused", "body")]
    assert clinic.count("adherence.patient", "team-") == 1
    assert teams(("team-0", good), ("team-3", good)) == [("unchanged", None), ("changed", None)]
    assert teams(("team-0", {"chain": [{"person": "on-call", "wait": "PT31M"}]})) == [("changed", None)]
