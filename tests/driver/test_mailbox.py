from __future__ import annotations

import asyncio
from time import perf_counter

from raytrain.driver.mailbox import Mailbox, WorkerProcess
from raytrain.worker.messages import Finished, Message, Notice


def notice(text: str) -> Message:
    return Notice(rank=0, time=0.0, text=text)


def test_messages_come_out_once_in_the_order_they_were_put() -> None:
    async def tell() -> list[list[Message]]:
        mailbox = Mailbox()
        await mailbox.put(notice("a"))
        await mailbox.put(notice("b"))
        first = await mailbox.take(1.0)
        await mailbox.put(notice("c"))
        return [first, await mailbox.take(1.0), await mailbox.take(0.0)]

    assert asyncio.run(tell()) == [[notice("a"), notice("b")], [notice("c")], []]


def test_a_message_wakes_whoever_waits_for_it() -> None:
    async def tell() -> tuple[list[Message], float]:
        mailbox = Mailbox()
        began = perf_counter()
        waiting = asyncio.create_task(mailbox.take(20.0))
        await asyncio.sleep(0.05)
        await mailbox.put(Finished(rank=1, time=0.0, reason="completed"))
        return await waiting, perf_counter() - began

    taken, waited_s = asyncio.run(tell())
    assert taken == [Finished(rank=1, time=0.0, reason="completed")]
    assert waited_s < 10


def test_taking_from_an_empty_mailbox_ends_after_the_wait() -> None:
    began = perf_counter()
    assert asyncio.run(Mailbox().take(0.05)) == []
    assert 0.04 < perf_counter() - began < 10


def test_what_is_there_is_taken_without_any_wait() -> None:
    """The collector's last look, when the group is over, waits 0 s."""

    async def tell() -> list[Message]:
        mailbox = Mailbox()
        await mailbox.put(notice("last words"))
        return await mailbox.take(0.0)

    assert asyncio.run(tell()) == [notice("last words")]


def test_who_puts_a_message_learns_what_is_asked() -> None:
    """A stop outweighs a resize, and counts for one group."""

    async def tell() -> list[str]:
        mailbox = Mailbox()
        told = [await mailbox.put(notice("of the first group"))]
        for what in ("resize", "stop", "resize"):
            await mailbox.ask(what)
            told.append(await mailbox.put(notice("of the first group")))
        await mailbox.begin(1)
        return [*told, await mailbox.put(notice("of the second"), 1)]

    assert asyncio.run(tell()) == ["", "resize", "stop", "stop", ""]


def test_the_processes_of_a_lost_group_are_not_the_next_ones() -> None:
    worker = WorkerProcess(rank=0, node_id="a", address="10.0.0.1", pid=7)

    async def tell() -> list[list[WorkerProcess]]:
        mailbox = Mailbox()
        await mailbox.place(0, [worker])
        told = [await mailbox.placed()]
        await mailbox.begin(1)
        await mailbox.place(0, [worker])
        return [*told, await mailbox.placed()]

    assert asyncio.run(tell()) == [[worker], []]


def test_messages_of_a_lost_group_do_not_reach_the_next() -> None:
    async def tell() -> list[Message]:
        mailbox = Mailbox()
        await mailbox.put(notice("unread, of the first group"))
        await mailbox.begin(1)
        await mailbox.put(notice("late, of the first group"), 0)
        await mailbox.put(notice("of the second"), 1)
        return await mailbox.take(0.0)

    assert asyncio.run(tell()) == [notice("of the second")]
