"""Every way to hand over a photo gives the same faces."""

import gc
import io
import os
import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import expllm


@pytest.fixture(scope="module")
def plain(reader, photo):
    return reader.read(photo)


def units(readings):
    return [dict(face.units) for face in readings]


def test_a_portrait_is_read_and_explained(plain):
    assert len(plain) == 1
    face = plain[0]
    assert face.expression == "happiness"
    assert abs(sum(face.probabilities.values()) - 1) < 1e-4
    assert face.units.left_lip_corner_pull == face.units.left["lip corner pull"]
    assert face.landmarks.shape == (68, 2) and face.crop.dtype == np.uint8
    explanation = face.explain()
    assert "happiness" in explanation.chain.conclusion
    assert expllm.check_chain(explanation.chain, "happiness", face.units).ok
    assert [str(e) for e in plain.explaining()] == [str(explanation)]


def test_every_kind_of_photo_reads_alike(plain, reader, photo):
    image = Image.open(photo).convert("RGB")
    array = np.asarray(image)
    rgba = np.dstack([array, np.full(array.shape[:2], 255, np.uint8)])
    data = photo.read_bytes()
    wide = np.zeros((array.shape[0], array.shape[1] * 2, 3), np.uint8)
    wide[:, ::2] = array
    frozen = array.copy()
    frozen.flags.writeable = False
    ways = [
        str(photo), data, bytearray(data), memoryview(data), io.BytesIO(data), image, array, rgba,
        wide[:, ::2], frozen, np.asfortranarray(array), array.astype(np.int64),
        array.astype(np.uint16) * 257, array / np.float64(255), array[:, ::-1][:, ::-1],
    ]
    for way in ways:
        assert units(reader.read(way)) == units(plain), type(way)
    # A file is read from where it stands.
    ways[4].seek(0)
    many = reader.read(iter(ways))
    assert units(many) == units(plain) * len(ways)


def test_grey_photos_are_read(reader, photo):
    grey = np.asarray(Image.open(photo).convert("L"))
    assert units(reader.read(grey)) == units(reader.read(grey[:, :, None])) != []


def test_tables_hold_the_same_numbers(plain):
    frame, table, rows = plain.to_pandas(), plain.to_arrow(), plain.to_dicts()
    assert len(frame.columns) == 7 + 35 + 8 + 5
    assert table.column_names == list(frame.columns)
    for name, value in rows[0]["action_units"].items():
        assert frame[name][0] == pytest.approx(value, abs=0)
        assert table[name][0].as_py() == value
    unmeasured = [u.name for u in expllm.UNITS if u.name not in rows[0]["action_units"]]
    assert all(np.isnan(frame[name][0]) and table[name][0].as_py() is None for name in unmeasured)


def test_a_folder_keeps_its_bad_photos_as_rows(reader, photo, tmp_path):
    shutil.copy(photo, tmp_path / "b.png")
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 broken")
    (tmp_path / "notes.txt").write_text("no photo")
    done = []
    readings = reader.read(tmp_path, progress=done.append)
    assert done == [1, 2] and len(readings) == 1
    frame = readings.to_pandas()
    assert list(frame["face"].isna()) == [True, False]
    assert "a.jpg" in frame["error"][0]


def test_paths_of_any_bytes_work(reader, photo, tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    shutil.copy(photo, path)
    readings = reader.read(os.fsdecode(path))
    assert len(readings) == 1
    assert readings.to_arrow()["file"][0].as_py().endswith("\\udcff\\udcfe.png")


def test_readings_survive_pickling(plain, reader):
    copy = pickle.loads(pickle.dumps(plain))
    assert units(copy) == units(plain)
    assert (copy[0].crop == plain[0].crop).all() and copy[0].box == plain[0].box
    assert pickle.loads(pickle.dumps(reader)).read([]).to_pandas().empty


def test_notebooks_show_faces(plain):
    html = plain._repr_html_()
    assert "data:image/png;base64" in html and "happiness" in html
    assert "1 faces in 1 photos" in repr(plain)


@pytest.mark.parametrize(
    ("columns", "smile", "scale", "missing"),
    [
        ("pyfeat", "AU12", 1, ["AU11", "AU25"]),
        ("openface", "AU12_r", 5, ["AU25_r"]),
        ("libreface", "au_12_intensity", 5, ["au_25_intensity"]),
    ],
)
def test_tables_of_other_tools(plain, reader, photo, columns, smile, scale, missing):
    frame = plain.to_pandas(columns)
    units = plain[0].units
    mean = (units.left_lip_corner_pull + units.right_lip_corner_pull) / 2
    assert frame[smile][0] == pytest.approx(scale * mean, abs=1e-6)
    assert not set(missing) & set(frame.columns)
    assert not any(name.lower().startswith("contempt") for name in frame.columns)
    both = reader.read([photo, np.zeros((64, 64), np.uint8)])
    frame = both.to_pandas(columns)
    assert list(frame[smile].isna()) == [False, True]
    assert both.to_arrow(columns).column_names == list(frame.columns)


def test_tables_of_nobody(plain):
    with pytest.raises(ValueError, match="pyfeat"):
        plain.to_pandas("fex")


def test_threads_share_a_reader_and_nothing_holds_the_interpreter(reader, plain, photo):
    ticks, stop = [0], threading.Event()

    def tick():
        while not stop.wait(0.001):
            ticks[0] += 1

    clock = threading.Thread(target=tick)
    clock.start()
    with ThreadPoolExecutor(4) as pool:
        all_readings = list(pool.map(reader.read, [photo] * 8))
    during = ticks[0]
    stop.set()
    clock.join()
    assert all(units(readings) == units(plain) for readings in all_readings)
    # A millisecond each; a call that held the interpreter would leave room for a few.
    assert during > 10


def test_reading_leaves_no_objects_behind(reader, photo):
    def objects():
        gc.collect()
        return len(gc.get_objects())

    reader.read(photo).to_dicts()
    before = objects()
    for _ in range(20):
        readings = reader.read([photo, b"no photo"])
        readings.explain()
        readings.to_arrow()
    del readings
    assert objects() - before < 20


def test_a_process_has_one_shared_reader(plain, photo):
    shared = expllm.Reader.shared(threads=1)
    assert shared is expllm.Reader.shared(threads=1) is not expllm.Reader.shared(threads=2)
    assert units(shared.read(photo)) == units(plain)
