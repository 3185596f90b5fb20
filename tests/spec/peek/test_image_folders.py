import pytest

from raytrain.errors import SpecError
from raytrain.spec.peek.image_folders import class_of, classes_of


@pytest.mark.parametrize(
    ("path", "roots", "name"),
    [
        ("p/cat/1.png", ["p"], "cat"),
        ("p/cat/2020/1.png", ["p"], "cat"),
        ("p/1.png", ["p"], None),
        ("q/dog/1.png", ["p", "q"], "dog"),
        ("pp/cat/1.png", ["p"], "cat"),
        ("p/cat/1.png", ["p/*/*.png"], "cat"),
        ("/data/p/cat/1.png", ["/data/p"], "cat"),
    ],
)
def test_class_of(path: str, roots: list[str], name: str | None) -> None:
    assert class_of(path, roots) == name


def test_classes_are_sorted_unless_given() -> None:
    paths = ["p/dog/1.png", "p/cat/1.png", "p/dog/2.png"]
    assert classes_of(paths, ["p"], None) == ["cat", "dog"]
    assert classes_of(paths, ["p"], ["dog", "cat", "eel"]) == ["dog", "cat", "eel"]
    assert classes_of(["p/1.png"], ["p"], None) is None


@pytest.mark.parametrize(
    ("paths", "given", "file", "got"),
    [
        (["p/cat/1.png", "p/2.png"], None, "p/2.png", "outside the folders"),
        (["p/2.png"], ["cat"], "p/2.png", "outside the folders"),
        (["p/cat/1.png", "p/dog/1.png"], ["cat", "dogs"], "p/dog/1.png", "the class `dog`"),
    ],
)
def test_images_of_no_class(paths: list[str], given: list[str] | None, file: str, got: str) -> None:
    with pytest.raises(SpecError) as refused:
        classes_of(paths, ["p"], given)
    [problem] = refused.value.problems
    assert (problem.file, got in problem.got) == (file, True)
