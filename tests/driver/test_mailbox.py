from __future__ import annotations

import threading
from time import perf_counter

from raytrain.driver.mailbox import Mailbox, WorkerProcess
from raytrain.protocol import Finished, Happened, Message
from raytrain.run.events import Warned


def notice(text: str) -> Message:
    return Happened(rank=0, time=0.0, event=Warned(message=text))


def test_messages_come_out_once_in_the_order_they_were_put() -> None:
    mailbox = Mailbox()
    mailbox.put(notice("a"))
    mailbox.put(notice("b"))
    assert mailbox.take(1.0) == [notice("a"), notice("b")]
    mailbox.put(notice("c"))
    assert mailbox.take(1.0) == [notice("c")]
    assert mailbox.take(0.0) == []


def test_a_message_wakes_whoever_waits_for_it() -> None:
    mailbox = Mailbox()
    message = Finished(rank=1, time=0.0, reason="completed")
    putting = threading.Timer(0.05, mailbox.put, [message])
    putting.start()
    began = perf_counter()
    assert mailbox.take(20.0) == [message]
    assert perf_counter() - began < 10
    putting.join()


def test_taking_from_an_empty_mailbox_ends_after_the_wait() -> None:
    began = perf_counter()
    assert Mailbox().take(0.05) == []
    assert 0.04 < perf_counter() - began < 10


def test_what_is_there_is_taken_without_any_wait() -> None:
    """The reader's last look, when the group is over, waits 0 s."""
    mailbox = Mailbox()
    mailbox.put(notice("last words"))
    assert mailbox.take(0.0) == [notice("last words")]


def test_who_puts_a_message_learns_what_is_asked() -> None:
    """A stop outweighs a resize, and counts for one group."""
    mailbox = Mailbox()
    told = [mailbox.put(notice("of the first group"))]
    for what in ("resize", "stop", "resize"):
        mailbox.ask(what)
        told.append(mailbox.put(notice("of the first group")))
    mailbox.begin(1)
    told.append(mailbox.put(notice("of the second"), 1))
    assert told == ["", "resize", "stop", "stop", ""]


def test_the_processes_of_a_lost_group_are_not_the_next_ones() -> None:
    worker = WorkerProcess(rank=0, node_id="a", address="10.0.0.1", pid=7)
    mailbox = Mailbox()
    mailbox.place(0, [worker])
    assert mailbox.placed() == [worker]
    mailbox.begin(1)
    mailbox.place(0, [worker])
    assert mailbox.placed() == []


def test_messages_of_a_lost_group_do_not_reach_the_next() -> None:
    mailbox = Mailbox()
    mailbox.put(notice("unread, of the first group"))
    mailbox.begin(1)
    mailbox.put(notice("late, of the first group"), 0)
    mailbox.put(notice("of the second"), 1)
    assert mailbox.take(0.0) == [notice("of the second")]
