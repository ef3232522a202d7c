"""The examples of docs/scale.md give the plain table on every engine that is installed."""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import expllm

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))


@pytest.mark.parametrize("engine", ["joblib", "dask", "ray", "pyspark"])
def test_an_engine_gives_the_plain_table(reader, photo, tmp_path, engine):
    pytest.importorskip(engine)
    scale = pytest.importorskip("scale")
    paths = []
    for at in range(7):
        path = tmp_path / f"{at}.png"
        path.symlink_to(photo)
        paths.append(str(path))
    (tmp_path / "broken.png").write_bytes(b"no photo")
    paths.insert(3, str(tmp_path / "broken.png"))
    run = getattr(scale, {"pyspark": "with_spark"}.get(engine, f"with_{engine}"))
    table = run(paths, workers=2, size=2)
    assert table.equals(reader.read(paths).to_arrow())
    assert isinstance(reader, expllm.Reader) and table.num_rows == 8


def test_photos_of_a_parquet_file_give_the_plain_table(reader, photo, tmp_path):
    scale = pytest.importorskip("scale")
    images = [photo.read_bytes(), b"no photo", photo.read_bytes()]
    names = ["a.png", "b.png", "c.png"]
    source, target = tmp_path / "photos.parquet", tmp_path / "faces.parquet"
    pq.write_table(pa.table({"file": names, "image": images, "label": [1, 2, 3]}), source)
    scale.through_parquet(source, target, size=2)
    table = pq.read_table(target)
    assert table.equals(reader.read(dict(zip(names, images))).to_arrow())
    assert table["file"].to_pylist() == names
    assert [error is None for error in table["error"].to_pylist()] == [True, False, True]
    assert table["jaw_drop"][0] == reader.read(photo).to_arrow()["jaw_drop"][0]
