"""What is generated is current: when one of these fails, `make docs` mends it."""

from __future__ import annotations

import pytest

from docs.generate.__main__ import DOCS, generated
from docs.generate.markdown import replace_block, table
from docs.generate.rooms import ON_THE_CLUSTER, rooms
from raytrain.cli.main import VERBS, load_verb
from tests.docs.pages import section
from tests.test_imports import LIGHT, ROOMS

GENERATED = generated()


@pytest.mark.parametrize("name", GENERATED)
def test_file_is_current(name: str) -> None:
    assert (DOCS / name).read_text() == GENERATED[name], "out of date: run `make docs`"


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_a_verb_is_listed(verb: str) -> None:
    text = section("docs/cli.md", verb)
    assert [
        option for part in load_verb(verb).params for option in part.opts[:1] if option.lstrip("-") not in text.lower()
    ] == []


def test_the_drawing_colours_the_rooms_by_where_they_run() -> None:
    assert set(rooms()) == set(ROOMS)
    assert set(ROOMS) - set(LIGHT) <= set(ON_THE_CLUSTER)
    assert not set(LIGHT) & set(ON_THE_CLUSTER)


def test_a_block_is_replaced_between_its_comments() -> None:
    page = "a\n<!-- begin it: by hand -->\nold\n<!-- end it -->\nz\n"
    assert replace_block(page, "it", "new\n") == "a\n<!-- begin it: by hand -->\nnew\n<!-- end it -->\nz\n"
    with pytest.raises(ValueError, match="one place for 'other'"):
        replace_block(page, "other", "new\n")


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert table(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |\n"
