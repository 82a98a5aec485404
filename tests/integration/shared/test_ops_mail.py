"""The ops channel by e-mail on a real mail server, alone and beside the webhook; what becomes of a notice when one fails."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from time import monotonic
from uuid import uuid4

import pytest
from sqlalchemy import select

from shared.db import metadata_for
from shared.house_tables import house_tables
from shared.ops import OpsPass, ops_say
from shared.ops.channels import Channel, Outcome, Webhook
from shared.ops.kinds import WORDS
from shared.ops.mail import Mail
from shared.ops.notice import Notice
from tests.integration.shared.conftest import START, House
from tests.support.mail import PASSWORD, RECIPIENTS, SENDER, USER, Papers, Post, free_port, papers, serving, settings_for
from tests.support.pager import Pager, paging

NOTICE = house_tables(metadata_for("scheduler")).ops_notice
HALF_MINUTE = timedelta(seconds=30)


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def pager() -> Iterator[Pager]:
    with paging() as server:
        yield server


def a_notice(kind: str = "channel-down") -> Notice:
    return Notice(uuid4(), "notifier", kind, START, {"reason": "no-answer", "count": 3})


def body(message: EmailMessage) -> str:
    return str(message.get_content()).replace("\r\n", "\n")


async def told(mail: Mail, notices: list[Notice] | None = None) -> Outcome:
    outcomes = await mail.deliver(notices or [a_notice()])
    [outcome] = set(outcomes.values())
    return outcome


async def test_what_is_due_at_once_is_one_encrypted_mail(paper: Papers, post: Post) -> None:
    port = free_port()
    notices = [a_notice("channel-down"), a_notice("key-parked")]
    with serving(post, port, "starttls", paper.server):
        mail = Mail(settings_for(port, paper.authority, user=USER, password=PASSWORD))
        assert await told(mail, notices) == Outcome("delivered")
    [message] = post.got
    assert post.encrypted == [True]
    assert (message["From"], message["To"], message["Auto-Submitted"]) == (SENDER, ", ".join(RECIPIENTS), "auto-generated")
    assert message["Subject"] == "[steadypath notifier] channel-down (and 1 more)"
    for notice in notices:
        assert WORDS[notice.kind] in body(message)
        assert f"docs/operations/incidents.md#{notice.kind}" in body(message)
        assert str(notice.id) in body(message)
    assert "count: 3" in body(message)


async def test_a_server_that_speaks_tls_from_the_first_byte(paper: Papers, post: Post) -> None:
    port = free_port()
    with serving(post, port, "tls", paper.server):
        assert await told(Mail(settings_for(port, paper.authority, encryption="tls"))) == Outcome("delivered")
    assert len(post.got) == 1


async def test_a_server_on_the_same_machine_may_go_without(paper: Papers, post: Post) -> None:
    port = free_port()
    with serving(post, port, "none", paper.server):
        assert await told(Mail(settings_for(port, None, encryption="none"))) == Outcome("delivered")
    assert post.encrypted == [False]


async def test_nothing_is_said_to_a_server_that_does_not_encrypt(paper: Papers, post: Post) -> None:
    port = free_port()
    with serving(post, port, "none", paper.server):
        assert await told(Mail(settings_for(port, paper.authority))) == Outcome("later", "no-encryption")
    assert post.got == []


async def test_tls_from_the_first_byte_with_a_server_that_wants_to_be_asked(paper: Papers, post: Post) -> None:
    port = free_port()
    with serving(post, port, "starttls", paper.server):
        assert await told(Mail(settings_for(port, paper.authority, encryption="tls"))) == Outcome("later", "no-encryption")
    assert post.got == []


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
async def test_nothing_is_said_to_a_server_whose_certificate_nobody_vouches_for(
    paper: Papers, post: Post, encryption: str
) -> None:
    port = free_port()
    with serving(post, port, "starttls" if encryption == "starttls" else "tls", paper.server):
        assert await told(Mail(settings_for(port, None, encryption=encryption))) == Outcome("later", "certificate-refused")
    assert post.got == []


async def test_a_wrong_password_can_be_mended_and_is_tried_again(paper: Papers, post: Post) -> None:
    port = free_port()
    with serving(post, port, "starttls", paper.server):
        wrong = Mail(settings_for(port, paper.authority, user=USER, password="wrong"))
        assert await told(wrong) == Outcome("later", "login-refused", 535)
    with serving(Post(), port, "none", paper.server):
        plain = Mail(settings_for(port, None, encryption="none", user=USER, password=PASSWORD))
        assert (await told(plain)).state == "delivered", "a server that offers a login takes it"


async def test_a_server_that_hangs_is_left_after_the_patience() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mail = Mail(settings_for(silent.getsockname()[1], None), patience=0.3)
        begun = monotonic()
        assert await told(mail) == Outcome("later", "no-answer")
        assert monotonic() - begun < 3


async def test_nobody_there() -> None:
    assert await told(Mail(settings_for(free_port(), None))) == Outcome("later", "unreachable")


@pytest.mark.parametrize(
    ("rcpt", "data", "outcome"),
    [
        (["550 no such mailbox", "550 no such mailbox"], [], Outcome("refused", "recipients-refused", 550)),
        (["550 no such mailbox", "450 mailbox busy"], [], Outcome("later", "recipients-refused", 550)),
        (["550 no such mailbox", "250 OK"], [], Outcome("delivered")),
        ([], ["554 spam"], Outcome("refused", "content-refused", 554)),
        ([], ["451 try later"], Outcome("later", "content-refused", 451)),
    ],
)
async def test_what_the_server_says_decides(paper: Papers, rcpt: list[str], data: list[str], outcome: Outcome) -> None:
    port, post = free_port(), Post(rcpt=rcpt, data=data)
    with serving(post, port, "starttls", paper.server):
        assert await told(Mail(settings_for(port, paper.authority))) == outcome
    assert len(post.got) == (1 if outcome.state == "delivered" else 0)


async def rows(house: House, kind: str | None = None) -> list[tuple[str, int, list[str], list[str]]]:
    columns = (NOTICE.c.state, NOTICE.c.attempts, NOTICE.c.delivered_by, NOTICE.c.refused_by)
    async with house.runtime.engine.connect() as conn:
        of_kind = NOTICE.c.kind == (kind or NOTICE.c.kind)
        return [tuple(row) for row in await conn.execute(select(*columns).where(of_kind).order_by(NOTICE.c.at))]


async def say(house: House, kind: str = "channel-down") -> None:
    async with house.runtime.unit() as unit:
        await ops_say(unit, kind)


async def again(house: House, work: OpsPass) -> None:
    """The next try, at its clinical instant."""
    due = await work.next_due()
    assert due is not None
    house.clock.set(max(due, house.clock.now()))
    assert await work.run(house.clock.now()) == 1


async def test_a_mail_server_that_was_down_gets_it_when_it_is_back_and_the_webhook_no_second_time(
    house: House, pager: Pager, paper: Papers, post: Post
) -> None:
    port = free_port()
    work = OpsPass(house.runtime, channels=[Webhook(pager.url), Mail(settings_for(port, paper.authority))])
    await say(house)
    assert await work.run(START) == 1
    assert await rows(house) == [("waiting", 1, ["webhook"], [])]
    with serving(post, port, "starttls", paper.server):
        await again(house, work)
    assert await rows(house) == [("delivered", 2, ["smtp", "webhook"], [])]
    assert (len(post.got), len(pager.got)) == (1, 1)


async def test_a_webhook_that_was_down_gets_it_when_it_is_back_and_the_mailbox_no_second_time(
    house: House, pager: Pager, paper: Papers, post: Post
) -> None:
    port = free_port()
    pager.answers = [503, 302]
    with serving(post, port, "starttls", paper.server):
        work = OpsPass(house.runtime, channels=[Webhook(pager.url), Mail(settings_for(port, paper.authority))])
        await say(house)
        assert await work.run(START) == 1
        assert await rows(house) == [("waiting", 1, ["smtp"], [])]
        await again(house, work)
        assert await rows(house) == [("waiting", 2, ["smtp"], [])], "a redirect is no answer"
        await again(house, work)
    assert await rows(house) == [("delivered", 3, ["smtp", "webhook"], [])]
    assert (len(post.got), len(pager.got)) == (1, 3)


async def test_what_the_mail_server_refuses_for_good_is_given_up_for_it_alone(house: House, pager: Pager, paper: Papers) -> None:
    port, post = free_port(), Post(rcpt=["550 no such mailbox"] * 2)
    with serving(post, port, "starttls", paper.server):
        work = OpsPass(house.runtime, channels=[Webhook(pager.url), Mail(settings_for(port, paper.authority))])
        await say(house)
        assert await work.run(START) == 1
        while await work.run(START + HALF_MINUTE * 100):
            continue
    assert await rows(house, "channel-down") == [("given-up", 1, ["webhook"], ["smtp"])]
    checks = {check.name: check for check in (await house.health.report()).checks}
    assert (checks["ops"].passed, checks["ops"].detail["given_up"]) == (True, 1)


async def test_what_a_channel_gave_up_is_said_by_the_one_that_works_once_a_day(house: House, pager: Pager, paper: Papers) -> None:
    port, post = free_port(), Post(rcpt=["550 no such mailbox"] * 99)
    with serving(post, port, "starttls", paper.server):
        work = OpsPass(house.runtime, channels=[Webhook(pager.url), Mail(settings_for(port, paper.authority))])
        for day in range(2):
            house.clock.set(START + timedelta(days=day))
            for _ in range(2):
                await say(house)
            for _ in range(4):
                await work.run(house.clock.now())
    missed = [said["details"] for said in pager.got if said["kind"] == "notices-missed"]
    assert missed == [{"channel": "smtp", "count": 2}] * 2
    assert len(pager.got) == 6, "it does not speak of itself"


async def test_twenty_notices_and_two_channels_that_hang_do_not_hold_the_pass_up(house: House) -> None:
    """A pass that does not come back for a minute ends the process: a dead pager must not."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        port = silent.getsockname()[1]
        ways: list[Channel] = [Webhook(f"http://127.0.0.1:{port}/", patience=0.5), Mail(settings_for(port, None), patience=0.5)]
        work = OpsPass(house.runtime, channels=ways)
        for _ in range(20):
            await say(house)
        begun = monotonic()
        assert await work.run(START) == 20
        assert monotonic() - begun < 5
    assert {row[0] for row in await rows(house)} == {"waiting"}


async def test_every_kind_arrives_in_a_few_mails(house: House, paper: Papers, post: Post) -> None:
    port = free_port()
    for kind in WORDS:
        await say(house, kind)
    with serving(post, port, "starttls", paper.server):
        work = OpsPass(house.runtime, channels=[Mail(settings_for(port, paper.authority))])
        while await work.run(START):
            continue
    assert len(post.got) == 2
    together = "".join(body(message) for message in post.got)
    assert all(f"  kind: {kind}\n" in together for kind in WORDS)
    assert all(WORDS[kind] in together for kind in WORDS)


async def test_a_kind_that_has_no_words_is_refused(house: House) -> None:
    with pytest.raises(KeyError):
        await say(house, "made-up")
