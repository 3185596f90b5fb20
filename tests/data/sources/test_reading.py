"""Every kind of source, read from real files through a real Ray Data: rows, order and types."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import ray
from PIL import Image

from raytrain.data.columns.arrow_to_numpy import to_arrays
from raytrain.data.sources import Read, number_classes_alike, read_source, read_table, rows_per_file
from raytrain.errors import UserCodeError
from raytrain.spec.column_options import ColumnSpec
from raytrain.spec.peek.inspect_source import inspect_source
from raytrain.spec.source_kinds import Source

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def source(**kind: Any) -> Source:
    return Source.model_validate(kind)


def table(folder: Path, **kind: Any) -> pa.Table:
    return read_table(source(**kind), folder, field="data.train")


def arrays(folder: Path, **kind: Any) -> dict[str, Any]:
    read = table(folder, **kind)
    return {name: array.tolist() for name, array in to_arrays(read, read.column_names).items()}


def lazily(folder: Path, **kind: Any) -> Read:
    return read_source(source(**kind), folder, field="data.train")


def counts(folder: Path, **kind: Any) -> tuple[int, ...]:
    return rows_per_file(source(**kind), folder, field="data.train")


def write_image(file: Path, value: int, size: tuple[int, int] = (4, 6), mode: str = "RGB") -> None:
    """An image of (height, width) in one colour."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (size[1], size[0]), (value, 0, 0) if mode == "RGB" else value).save(file)


def test_json_lines_keep_rows_order_and_types(tmp_path: Path) -> None:
    for index in range(3):
        rows = [{"x": index * 10 + row, "y": 0.5, "v": [1, 2], "t": "é"} for row in range(4)]
        (tmp_path / f"{index}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    found = arrays(tmp_path, json="*.jsonl")
    assert found["x"] == [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]
    assert (found["y"][0], found["v"][0], found["t"][0]) == (0.5, [1.0, 2.0], "é")
    assert counts(tmp_path, json="*.jsonl") == (4, 4, 4)
    facts = inspect_source(source(json="*.jsonl"), tmp_path)
    assert (facts.rows, facts.columns) == (12, ("x", "y", "v", "t"))


def test_json_may_be_compressed_or_one_list(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.write('{"x": 1}\n{"x": 2}')
    (tmp_path / "b.json").write_text('[{"x": 3},\n {"x": 4}]')
    assert arrays(tmp_path, json=["a.jsonl.gz", "b.json"]) == {"x": [1, 2, 3, 4]}
    assert inspect_source(source(json=["a.jsonl.gz", "b.json"]), tmp_path).rows == 4


def test_a_json_row_longer_than_arrows_own_block(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"v": list(range(400_000))}) + "\n")
    assert len(table(tmp_path, json="a.jsonl").column("v")[0]) == 400_000


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.arange(24, dtype=np.float32).reshape(4, 3, 2), id="tensor"),
        pytest.param(np.asfortranarray(np.arange(12).reshape(4, 3)), id="columns first"),
        pytest.param(np.arange(5, dtype=">i4"), id="the other byte order"),
        pytest.param(np.arange(3, dtype=np.uint8).reshape(1, 3), id="one row"),
        pytest.param(np.arange(2_000_000).reshape(-1, 2), id="two blocks or more"),
    ],
)
def test_npy_is_the_column_data(array: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    read = table(tmp_path, numpy="a.npy")
    np.testing.assert_array_equal(to_arrays(read, ["data"])["data"], array)
    facts = inspect_source(source(numpy="a.npy"), tmp_path)
    assert (facts.rows, facts.columns, facts.bytes) == (len(array), ("data",), array.nbytes)
    assert counts(tmp_path, numpy="a.npy") == (len(array),)
    assert (lazily(tmp_path, numpy="a.npy").rows, lazily(tmp_path, numpy="a.npy").bytes) == (len(array), array.nbytes)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_has_a_column_for_each_array(save: Any, tmp_path: Path) -> None:
    image, label = np.arange(48, dtype=np.uint8).reshape(4, 3, 4), np.array([1, 0, 1, 0])
    save(tmp_path / "a.npz", image=image, label=label)
    assert arrays(tmp_path, numpy="a.npz") == {"image": image.tolist(), "label": label.tolist()}
    facts = inspect_source(source(numpy="a.npz"), tmp_path)
    assert (facts.rows, facts.columns, facts.bytes) == (4, ("image", "label"), image.nbytes + label.nbytes)


def test_a_npy_for_each_column(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.arange(12).reshape(3, 2, 2))
    np.save(tmp_path / "labels.npy", np.array([2, 1, 0]))
    kind = {"numpy": {"image": "images.npy", "label": "labels.npy"}}
    assert arrays(tmp_path, **kind) == {"image": np.arange(12).reshape(3, 2, 2).tolist(), "label": [2, 1, 0]}
    facts, read = inspect_source(source(**kind), tmp_path), lazily(tmp_path, **kind)
    assert (facts.rows, facts.columns, facts.bytes) == (3, ("image", "label"), 120)
    assert (read.rows, read.bytes, counts(tmp_path, **kind)) == (3, 120, (3,))


def test_text_is_a_row_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\nthrée", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(b"four\r\nfive\x0bsix\r\n")
    assert table(tmp_path, text="*.txt").to_pydict() == {"text": ["one", "", "thrée", "four", "five\x0bsix"]}
    assert inspect_source(source(text="*.txt"), tmp_path).rows == 5
    assert counts(tmp_path, text="*.txt") == (3, 2)


def test_folders_of_images_are_classes(tmp_path: Path) -> None:
    for name, value in (("dog/b.png", 3), ("dog/a.png", 2), ("cat/deep/c.png", 1), ("cat/.hidden.png", 9)):
        write_image(tmp_path / "pictures" / name, value)
    (tmp_path / "pictures" / "cat" / "README.txt").write_text("no image")
    read = table(tmp_path, images="pictures")
    assert read.schema.field("label").type == pa.int64()
    found = to_arrays(read, read.column_names)
    assert found["image"].shape == (3, 4, 6, 3)
    assert found["image"].dtype == np.uint8
    assert found["image"][:, 0, 0, 0].tolist() == [1, 2, 3]
    assert (found["label"].tolist(), found["class"].tolist()) == ([0, 1, 1], ["cat", "dog", "dog"])
    assert [Path(path).name for path in found["path"]] == ["c.png", "a.png", "b.png"]
    facts = inspect_source(source(images="pictures"), tmp_path)
    assert (facts.rows, facts.columns, facts.bytes) == (3, ("image", "label", "class", "path"), 3 * 4 * 6 * 3)
    lazy = lazily(tmp_path, images="pictures")
    assert (lazy.rows, lazy.bytes, counts(tmp_path, images="pictures")) == (3, 3 * 4 * 6 * 3, (1, 1, 1))


def test_images_are_scaled_and_converted(tmp_path: Path) -> None:
    write_image(tmp_path / "p" / "a" / "wide.png", 200, (4, 8))
    write_image(tmp_path / "p" / "a" / "tall.jpg", 200, (8, 4))
    read = table(tmp_path, images={"path": "p", "size": [2, 5], "mode": "L"})
    images = to_arrays(read, ["image"])["image"]
    assert images.shape == (2, 2, 5, 1)
    assert np.abs(images.astype(int) - 60).max() <= 2  # the weight of red in grey is 0.299
    assert inspect_source(source(images={"path": "p", "size": [2, 5], "mode": "L"}), tmp_path).bytes == 20


def test_images_without_classes_have_no_label(tmp_path: Path) -> None:
    write_image(tmp_path / "p" / "1.png", 1)
    assert table(tmp_path, images="p").column_names == ["image", "path"]
    assert inspect_source(source(images="p"), tmp_path).columns == ("image", "path")


def test_a_class_is_the_same_number_in_every_source(tmp_path: Path) -> None:
    for name in ("train/cat", "train/dog", "validation/dog"):
        write_image(tmp_path / name / "1.png", 1)
    assert arrays(tmp_path, images="validation")["label"] == [0]
    given = {"train": source(images="train"), "validation": source(images={"path": "validation", "size": [4, 6]})}
    alike = number_classes_alike(given, tmp_path)
    assert [item.details.classes for item in alike.values()] == [["cat", "dog"]] * 2
    assert read_table(alike["validation"], tmp_path, field="data.validation").column("label").to_pylist() == [1]
    assert arrays(tmp_path, images={"path": "validation", "classes": ["dog", "cat"]})["label"] == [0]
    given |= {"validation": source(images={"path": "validation", "classes": ["dog", "cat"]})}
    with pytest.raises(
        UserCodeError, match=r"validation.images.classes: got dog, cat, expected cat, dog, in the order"
    ):
        number_classes_alike(given, tmp_path)


def test_images_that_a_table_names(tmp_path: Path) -> None:
    write_image(tmp_path / "pictures" / "a.png", 10)
    write_image(tmp_path / "pictures" / "sub" / "b.png", 20, (9, 9))
    (tmp_path / "labels.csv").write_text("file,score\nsub/b.png,0.5\na.png,1\nsub/b.png,2\n")
    kind = {"images": {"table": {"csv": "labels.csv"}, "column": "file", "folder": "pictures", "size": [2, 2]}}
    found = to_arrays(table(tmp_path, **kind), ["image", "score"])
    assert found["image"][:, 0, 0, 0].tolist() == [20, 10, 20]
    assert found["score"].tolist() == [0.5, 1, 2]
    lazy = lazily(tmp_path, **kind)
    assert (lazy.rows, lazy.bytes, lazy.files, counts(tmp_path, **kind)) == (3, 36, (), ())
    facts = inspect_source(source(**kind), tmp_path)
    assert (facts.rows, facts.columns, facts.bytes) == (3, ("file", "score", "image"), 36)


def test_many_images_make_few_blocks(tmp_path: Path) -> None:
    for index in range(200):
        write_image(tmp_path / "p" / f"{index % 3}" / f"{index:03}.png", index)
    dataset = lazily(tmp_path, images="p").dataset.materialize()
    assert dataset.num_blocks() <= 16
    batches = dataset.iter_batches(batch_size=64, batch_format="pyarrow")
    values = [value for batch in batches for value in to_arrays(batch, ["image"])["image"][:, 0, 0, 0].tolist()]
    assert values == [index for rest in range(3) for index in range(200) if index % 3 == rest]


def write_tfrecords(file: Path, rows: list[dict[str, Any]], compression: str = "") -> None:
    """As TensorFlow writes them."""
    import tensorflow as tf

    lists = {bytes: ("bytes_list", tf.train.BytesList), float: ("float_list", tf.train.FloatList)}
    lists[int] = ("int64_list", tf.train.Int64List)
    with tf.io.TFRecordWriter(str(file), compression) as writer:
        for row in rows:
            features = {}
            for name, values in row.items():
                field, kind = lists[type(values[0])] if values else ("int64_list", tf.train.Int64List)
                features[name] = tf.train.Feature(**{field: kind(value=values)})
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def test_tfrecords_as_tensorflow_writes_them(tmp_path: Path) -> None:
    rows = [{"x": [0.5 * i, 1.0], "y": [i], "t": ["é".encode()], "raw": [b"\xff%d" % i]} for i in range(2500)]
    write_tfrecords(tmp_path / "a.tfrecord", rows[:1200])
    write_tfrecords(tmp_path / "b.tfrecord-00000-of-00001", rows[1200:])
    read = table(tmp_path, tfrecords=".")
    assert read.schema.field("raw").type == pa.binary()
    assert read.column("raw")[2499].as_py() == b"\xff2499"
    found = to_arrays(read, ["x", "y", "t"])
    assert found["y"].tolist() == list(range(2500))
    assert found["x"].dtype == np.float32
    assert (found["x"][3].tolist(), found["t"][0]) == ([1.5, 1.0], "é")
    assert inspect_source(source(tfrecords="."), tmp_path).rows == 2500
    assert counts(tmp_path, tfrecords=".") == (1200, 1300)


def test_compressed_tfrecords_and_lists_of_many_lengths(tmp_path: Path) -> None:
    write_tfrecords(tmp_path / "a.tfrecord.gz", [{"v": [1, 2, 3]}, {"v": [4]}, {"v": []}, {"w": [1]}], "GZIP")
    assert table(tmp_path, tfrecords="a.tfrecord.gz").to_pylist() == [
        {"v": [1, 2, 3], "w": None},
        {"v": [4], "w": None},
        {"v": [], "w": None},
        {"v": None, "w": 1},
    ]


def told(folder: Path, columns: dict[str, ColumnSpec], **kind: Any) -> dict[str, Any]:
    """The columns of which the spec says something, and how many rows each file has."""
    read = read_source(source(**kind), folder, field="data.train", options=columns)
    rows = rows_per_file(source(**kind), folder, field="data.train", options=columns)
    whole = pa.concat_tables(ray.get(read.dataset.to_arrow_refs()), promote_options="permissive")
    assert whole.num_rows == sum(rows)
    return to_arrays(whole, list(columns), columns)


def test_tfrecords_that_have_lists_only_here_and_there(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"v": [1, 2]}, *({"v": [3]} for _ in range(1000)), {"v": []}]
    write_tfrecords(tmp_path / "a.tfrecord", rows)
    write_tfrecords(tmp_path / "b.tfrecord", [{"v": [4]}])
    found = told(tmp_path, {"v": ColumnSpec(pad=2)}, tfrecords=["b.tfrecord", "a.tfrecord"])["v"]
    assert found[[0, 1, 2, -1]].tolist() == [[4, 0], [1, 2], [3, 0], [0, 0]]


def test_a_csv_column_that_turns_fractional_late(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w") as file:
        file.write("x,t\n" + f"1,{'t' * 1000}\n" * 70_000 + "1.5,t\n")
    found = told(tmp_path, {"x": ColumnSpec(dtype="float32")}, csv="a.csv")["x"]
    assert (found.dtype, found[0], found[-1]) == (np.float32, 1.0, 1.5)
    with pytest.raises(
        UserCodeError, match=r"int64: invalid value '1.5'.*whole numbers; if the column is of fractions"
    ):
        table(tmp_path, csv="a.csv")


def test_tfrecords_of_lists_of_text_may_be_padded(tmp_path: Path) -> None:
    write_tfrecords(tmp_path / "a.tfrecord", [{"t": [b"a"]}, {"t": [b"b", "é".encode()]}])
    read = table(tmp_path, tfrecords="a.tfrecord")
    assert to_arrays(read, ["t"], {"t": ColumnSpec(pad=2)})["t"].tolist() == [["a", ""], ["b", "é"]]


def test_partitions_are_typed_by_all_of_their_folders(tmp_path: Path) -> None:
    for year, name, zip_code in ((2020, "a", "01"), (2021, "b c", "10")):
        place = tmp_path / "set" / f"year={year}" / f"name={name}" / f"zip={zip_code}"
        place.mkdir(parents=True)
        pa.parquet.write_table(pa.table({"x": [year]}), place / "0.parquet")
        (place / "0.csv").write_text(f"x\n{year}\n")
    for kind in ("parquet", "csv"):
        read = table(tmp_path, **{kind: "set"})
        assert read.to_pylist() == [
            {"x": 2020, "year": 2020, "name": "a", "zip": 1},
            {"x": 2021, "year": 2021, "name": "b c", "zip": 10},
        ]
        assert read.schema.field("year").type == pa.int64()
        assert inspect_source(source(**{kind: "set"}), tmp_path).columns == ("x", "year", "name", "zip")


@pytest.mark.parametrize("kind", ["csv", "parquet", "json", "text", "numpy"])
def test_an_epoch_reads_the_files_in_its_own_order(kind: str, tmp_path: Path) -> None:
    for index in range(40):
        file = tmp_path / f"{index:02}.{kind}"
        match kind:
            case "csv":
                file.write_text(f"x\n{index}\n")
            case "json":
                file.write_text(json.dumps({"x": index}))
            case "text":
                file.with_suffix(".txt").write_text(str(index))
            case "numpy":
                np.save(file.with_suffix(".npy"), np.array([index]))
            case _:
                pa.parquet.write_table(pa.table({"x": [index]}), file)
    whole = lazily(tmp_path, **{kind: "."})
    assert len(whole.files) == 40
    order = [whole.files[index] for index in np.random.default_rng(0).permutation(40)]
    some = order[:30]
    column = {"text": "text", "numpy": "data"}.get(kind, "x")
    read = read_source(source(**{kind: "."}), tmp_path, field="data.train", files=some)
    assert read.files == tuple(some)
    values = [int(row[column]) for row in read.dataset.take_all()]
    assert values == [int(Path(name).stem) for name in some]
    assert rows_per_file(source(**{kind: "."}), tmp_path, field="data.train", files=some) == (1,) * 30


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_whole_numbers_in_one_file_and_fractions_in_another_are_one_type_in_every_block(
    kind: str, tmp_path: Path
) -> None:
    for index, value in enumerate(("1", "2.5", "3")):
        row = f"x,t\n{value},a\n" if kind == "csv" else f'{{"x": {value}, "t": "a"}}\n'
        (tmp_path / f"{index}.{kind}").write_text(row)
    read = lazily(tmp_path, **{kind: "."})
    types = [block.schema.field("x").type for block in ray.get(read.dataset.to_arrow_refs())]
    assert set(types) == {pa.float64()}
    assert arrays(tmp_path, **{kind: "."})["x"] == [1, 2.5, 3]


@pytest.mark.parametrize("first", [pa.array([1]), pa.nulls(1), pa.array([1], pa.uint8())])
def test_parquet_files_of_different_types_are_one_type_in_every_block(first: pa.Array, tmp_path: Path) -> None:
    for name, x in (("0", first), ("1", pa.array([2.5])), ("2", pa.array([3]))):
        place = tmp_path / "set" / f"part={name}"
        place.mkdir(parents=True)
        pa.parquet.write_table(pa.table({"x": x, "t": ["a"]}), place / "0.parquet")
    read = lazily(tmp_path, parquet="set")
    assert read.rows == 3
    others = read_source(
        source(parquet="set"), tmp_path, field="data.train", files=read.files[::-2], schema=read.schema
    )
    for dataset in (read.dataset, others.dataset):
        blocks = ray.get(dataset.select_columns(["x", "part"]).to_arrow_refs())
        assert {block.schema.field("x").type for block in blocks} == {pa.float64()}
    expected = [first[0].as_py(), 2.5, 3]
    assert table(tmp_path, parquet="set").to_pydict() == {"x": expected, "t": ["a"] * 3, "part": [0, 1, 2]}
    assert others.dataset.take_all() == [{"x": expected[i], "t": "a", "part": i} for i in (2, 0)]


def test_reading_begins_only_when_rows_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3\n")
    lazily(tmp_path, csv="a.csv")  # the ragged row is not met


SQL = """
import sqlite3
from pathlib import Path

def connect():
    return sqlite3.connect(Path(__file__).parent / "students.db")
"""


def test_the_rows_of_a_query(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "students.db") as database:
        database.execute("create table students (age int, score real, name text)")
        database.executemany("insert into students values (?, ?, ?)", [(i, i / 2, f"n{i}") for i in range(100)])
    (tmp_path / "students_data.py").write_text(SQL)
    query = "select age, score, name from students where age >= ? order by age desc"
    spec = {"query": query, "connect": "students_data.py:connect", "params": [98]}
    assert arrays(tmp_path, sql=spec) == {"age": [99, 98], "score": [49.5, 49], "name": ["n99", "n98"]}


def test_the_rows_of_a_query_keep_the_order_they_first_came_in(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "students.db") as database:
        database.execute("create table students (age int)")
        database.executemany("insert into students values (?)", [(i,) for i in range(100)])
    (tmp_path / "students_data.py").write_text(SQL)
    spec = {"query": "select age from students order by random()", "connect": "students_data.py:connect"}
    read = lazily(tmp_path, sql=spec)
    first, second = ([row["age"] for row in read.dataset.take_all()] for _ in range(2))
    assert read.rows == 100
    assert sorted(first) == list(range(100))
    assert first == second


def test_code_whose_file_is_named_as_a_package_reaches_the_tasks(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("""
import ray
FACTOR = 3
def times(batch):
    return {"x": batch["id"] * FACTOR}
def load():
    return ray.data.range(4).map_batches(times)
""")
    assert arrays(tmp_path, python="json.py:load") == {"x": [0, 3, 6, 9]}


def test_delta(tmp_path: Path) -> None:
    import deltalake

    for value in (1, 2):
        deltalake.write_deltalake(str(tmp_path / "rows"), pa.table({"x": [value]}), mode="overwrite")
    assert arrays(tmp_path, delta="rows") == {"x": [2]}
    assert arrays(tmp_path, delta={"path": "rows", "version": 0}) == {"x": [1]}


def test_lance(tmp_path: Path) -> None:
    import lance

    lance.write_dataset(pa.table({"x": [1, 2, 3]}), str(tmp_path / "rows.lance"))
    assert arrays(tmp_path, lance="rows.lance") == {"x": [1, 2, 3]}


def test_iceberg(tmp_path: Path) -> None:
    from pyiceberg.catalog.sql import SqlCatalog

    place = {"uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/warehouse"}
    catalog = SqlCatalog("default", **place)
    catalog.create_namespace("school")
    rows = pa.table({"x": [1, 2, 3]})
    catalog.create_table("school.students", schema=rows.schema).append(rows)
    catalog.engine.dispose()
    spec = {"table": "school.students", "catalog": {"name": "default", "type": "sql", **place}}
    assert arrays(tmp_path, iceberg=spec) == {"x": [1, 2, 3]}
    assert arrays(tmp_path, iceberg=spec | {"where": "x > 1"}) == {"x": [2, 3]}


def test_hugging_face(tmp_path: Path) -> None:
    import datasets

    rows = datasets.Dataset.from_dict({"x": [3, 1, 2]})
    rows.sort("x").save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": rows, "test": rows.select([0])}).save_to_disk(str(tmp_path / "both"))
    (tmp_path / "rows.jsonl").write_text('{"x": 7}\n{"x": 8}\n')
    assert arrays(tmp_path, huggingface="one") == {"x": [1, 2, 3]}
    assert arrays(tmp_path, huggingface={"path": "both", "split": "test"}) == {"x": [3]}
    spec = {"path": "json", "data_files": "rows.jsonl", "split": "train[1:]"}
    assert arrays(tmp_path, huggingface=spec) == {"x": [8]}
