"""Tables of other tools come in with what they measure."""

import csv
import os
from pathlib import Path

import pytest

import expllm

ROOT = Path(__file__).parents[3]
TABLES = Path(os.environ.get("EXPLLM_SHARED", ROOT.parent / "shared")) / "fixtures" / "tables"


@pytest.mark.parametrize("columns", ["expllm", "pyfeat", "openface", "libreface"])
def test_what_was_written_is_read_again(reader, photo, tmp_path, columns):
    readings = reader.read([photo])
    path = tmp_path / "table.csv"
    readings.to_pandas(columns).to_csv(path, index=False)
    (row,) = expllm.read_csv(path)
    units = readings[0].units
    smile = (units.left_lip_corner_pull + units.right_lip_corner_pull) / 2
    if columns == "expllm":
        assert dict(row.units) == pytest.approx(dict(units), abs=1e-6)
    else:
        assert row.units.left_lip_corner_pull == pytest.approx(smile, abs=1e-6)
        assert row.units.cheek_puff is None
    assert expllm.check_chain(
        expllm.Composer().compose(row.units, "happiness"), "happiness", row.units
    ).ok


@pytest.mark.parametrize("name", ["openface.csv", "pyfeat.csv"])
def test_tables_as_the_tools_write_them(name):
    path = TABLES / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    rows = expllm.read_csv(path)
    with open(path, newline="") as file:
        wanted = list(csv.DictReader(file, skipinitialspace=True))
    assert len(rows) == len(wanted) > 0
    column, scale = ("AU12_r", 5) if name == "openface.csv" else ("AU12", 1)
    for row, given in zip(rows, wanted):
        expected = float(given[column]) / scale
        assert row.units.right_lip_corner_pull == pytest.approx(expected, abs=1e-6)


def test_frames_without_a_face_have_no_units(tmp_path):
    path = tmp_path / "clip.csv"
    path.write_text("frame, success, AU12_r\n1, 1, 2.5\n2, 0, 0\n3, 1\n")
    first, second, third = expllm.read_csv(path)
    assert first.units.left_lip_corner_pull == 0.5
    assert len(second.units) == len(third.units) == 0


def test_other_tables_are_refused(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("image,emo\na.jpg,fear\n")
    with pytest.raises(ValueError, match=r"labels\.csv.*OpenFace"):
        expllm.read_csv(path)


@pytest.mark.parametrize("tool", ["openface", "pyfeat"])
def test_columns_are_those_of_the_tools(reader, photo, tool):
    path = TABLES / f"{tool}.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with open(path, newline="") as file:
        theirs = {name.strip() for name in next(csv.reader(file))}
    ours = set(reader.read(photo).to_pandas(tool).columns)
    # A table of one face of one file has no need of these.
    assert ours - {"file", "face_id"} <= theirs
    assert len(ours & theirs) > 150
