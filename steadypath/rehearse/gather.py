"""From what the provider carried and what the notifier says of it to the story's texts: nothing that went is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from shared.events.base import stable_id
from steadypath.errors import CommandError
from steadypath.phone.keywords import ANSWERS
from steadypath.rehearse import sentences
from steadypath.rehearse.cast import ON_CALL, Cast, Player
from steadypath.rehearse.phones import Carried, Phones
from steadypath.rehearse.story import Status, Text

#: As `shared/http/ids.py` makes ids; the clinic is the one that every embedded stack makes.
CLINIC = stable_id("clinic", "clinic")
#: Kinds of messages with which the clinic answers; the day's cap counts what it begins.
_ANSWERS = ("acknowledgement", "clarification", "help", "safe-reply", "opt-in-confirmation", "opt-out-confirmation")
_BY_TWILIO = "Twilio itself answers this word."
#: What a keyword that Twilio itself answers makes the clinic say.
_OF_KEYWORD = {"STOP": "patient-opted-out", "START": "patient-opted-in", "HELP": "reply-received"}


@dataclass(frozen=True)
class Gatherer:
    """One reading of a rehearsal. `clinic_zone` (IANA) is for who has none of their own."""

    cast: Cast
    phones: Phones
    clinic_zone: str

    async def texts(self) -> list[Text]:
        """Every text to patients and care team, those that did not go included, in time order. Raises CommandError where what the
        provider carried is not what the notifier says it sent: then nothing is said rather than something made up."""
        went = {one.sid: one for one in await self.phones.texts() if one.outbound}
        found = list[Text]()
        for player in self.cast.patients:
            for said in await self.phones.messages_of(player.id):
                found += self._text(player, said, went.pop(said["provider_sid"], None))
        for text in went.values():
            other = await self.phones.message_of(text.sid)
            found += [self._by_twilio(text)] if other is None else self._text(None, other, text)
        # By the instant: where clocks go back, the local times of two zones or of one night say nothing of the order.
        return sorted(found, key=lambda one: (one.at.astimezone(UTC), one.to != "patient", one.patient or ""))

    def _text(self, player: Player | None, said: Mapping[str, Any], carried: Carried | None) -> Iterable[Text]:
        state = said["status"]
        if carried is None and said["provider_sid"] is not None:
            raise CommandError("a text that the notifier sent is not on the provider's list: try again, without ending services")
        if carried is None and state == "queued":
            return ()
        zone = self._zone(player, said["person"])
        if carried is None:
            status: Status = "expired" if state == "expired" else "withheld"
            why = sentences.not_sent(state, said["why"])
        else:
            status, why = "sent", sentences.sent(said["cause"])
        at = datetime.fromisoformat(said["at"]).astimezone(ZoneInfo(zone))
        to: Literal["patient", "care-team"] = "care-team" if said["person"] else "patient"
        body = carried.body if carried else None
        answer = said["kind"] in _ANSWERS
        return (Text(at, zone, to, player.id if player else None, said["cause"], body, status, why, answer),)

    def _zone(self, player: Player | None, person: str | None) -> str:
        if person is None:
            return player.zone if player else self.clinic_zone
        known = [ON_CALL, *(one.id for one in self.cast.people)]
        external = next((one for one in known if stable_id(CLINIC, "person", one) == UUID(person)), ON_CALL)
        return self.cast.zone_of(external, self.clinic_zone)

    def _by_twilio(self, text: Carried) -> Text:
        """Twilio answers STOP, START and HELP by itself."""
        keyword = ANSWERS.get(text.body)
        if keyword is None:  # a service was ended in mid-send, and what it sent has not been settled
            raise CommandError("the provider has a text that the notifier cannot place: try again, without ending services")
        kind = _OF_KEYWORD[keyword]
        player = next((one for one in self.cast.patients if one.number == text.to), None)
        zone = player.zone if player else self.clinic_zone
        at = text.at.astimezone(ZoneInfo(zone))
        to: Literal["patient", "care-team"] = "patient" if player else "care-team"
        return Text(at, zone, to, player.id if player else None, kind, text.body, "sent", _BY_TWILIO, answer=True)
