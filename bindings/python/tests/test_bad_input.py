"""What cannot be a photo is an exception, never a crash or a hang."""

import io
import multiprocessing
import signal
import subprocess
import sys
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import pytest
from PIL import Image

import expllm

ARRAYS = [
    np.zeros((0, 5, 3), np.uint8),
    np.zeros((5, 5, 2), np.uint8),
    np.zeros((3, 5, 7), np.uint8),
    np.zeros(9, np.uint8),
    np.full((8, 8, 3), 300),
    np.full((8, 8, 3), -1),
    np.full((8, 8, 3), 2.0),
    np.full((8, 8, 3), np.nan),
    np.full((8, 8, 3), "a"),
    np.full((8, 8, 3), None),
    np.zeros((8, 8, 3), complex),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_wrong_arrays_say_what_is_wrong(reader, array):
    with pytest.raises(expllm.PhotoError, match="must"):
        reader.read(array)
    assert reader.read([array]).errors.keys() == {0}


def test_files_that_are_none(reader, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        reader.read(tmp_path / "nowhere.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(expllm.PhotoError, match=r"empty\.png.*is empty"):
        reader.read(tmp_path / "empty.png")
    with pytest.raises(expllm.PhotoError, match="zero byte"):
        reader.read("a\0b.png")
    for odd in [3, None, object()]:
        with pytest.raises(TypeError, match="must be a path"):
            reader.read(odd)


def test_files_of_other_libraries(reader, photo):
    file = open(photo, "rb")
    file.close()
    with pytest.raises(expllm.PhotoError, match="closed"):
        reader.read(file)
    with pytest.raises(TypeError, match="binary"):
        reader.read(io.StringIO("text"))
    image = Image.open(photo)
    image.close()
    with pytest.raises(expllm.PhotoError, match="cannot be read"):
        reader.read(image)


def test_memory_that_is_gone(reader, photo):
    view = memoryview(photo.read_bytes())
    view.release()
    with pytest.raises(expllm.PhotoError, match="released"):
        reader.read(view)
    shared = SharedMemory(create=True, size=300)
    buffer = shared.buf
    shared.close()
    shared.unlink()
    with pytest.raises(expllm.PhotoError, match="released"):
        reader.read(buffer)


def test_objects_of_other_libraries(reader):
    class Tensor:
        def __init__(self, answer):
            self.answer = answer

        def __array__(self, dtype=None, copy=None):
            return self.answer()

    def fails():
        raise RuntimeError("on another device")

    with pytest.raises(expllm.PhotoError, match="another device"):
        reader.read(Tensor(fails))
    with pytest.raises(expllm.PhotoError, match="shape"):
        reader.read(Tensor(lambda: np.zeros((1, 3, 8, 8))))
    assert len(reader.read(Tensor(lambda: np.zeros((8, 8, 3), np.uint8)))) == 0
    odd = np.zeros((8, 8, 3), [("r", np.uint8)])
    with pytest.raises(expllm.PhotoError, match="must hold"):
        reader.read(odd)
    assert reader.read({"a": odd, "b": b"none"}).errors.keys() == {0, 1}


def test_exceptions_of_callbacks_come_out(reader, photo):
    def stop(done):
        raise KeyError("enough")

    def photos():
        yield photo
        raise LookupError("no more")

    with pytest.raises(KeyError, match="enough"):
        reader.read([photo], progress=stop)
    with pytest.raises(LookupError, match="no more"):
        reader.read(photos())
    assert len(reader.read(photo)) == 1


def _child(reader, photo, answers):
    try:
        reader.read(photo)
        answers.put("read")
    except RuntimeError as error:
        answers.put(f"{error} {len(expllm.Reader(threads=1).read(photo))}")


def test_a_forked_child_makes_its_own_reader(reader, photo):
    reader.read(photo)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_child, args=(reader, photo, answers))
    child.start()
    answer = answers.get(timeout=120)
    child.join(timeout=60)
    assert "forked" in answer and answer.endswith(" 1")


LONG_CALLS = {
    "read": """
import expllm, itertools, sys
reader = expllm.Reader(threads=1)
print("go", flush=True)
reader.read(itertools.repeat(sys.argv[1]))
""",
    "build": """
import sys, time
from expllm import cot
def writer(request):
    print("go", flush=True)
    time.sleep(600)
record = {"file_name": "a.png", "emo": "fear", "au": {"jaw_drop": 0.5}}
cot.build([record], writer=writer, out=sys.argv[2])
""",
}


@pytest.mark.parametrize("call", LONG_CALLS)
def test_ctrl_c_ends_a_long_call(photo, tmp_path, call):
    child = subprocess.Popen(
        [sys.executable, "-c", LONG_CALLS[call], photo, tmp_path / "out.jsonl"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    assert child.stdout.readline() == b"go\n"
    child.send_signal(signal.SIGINT)
    _, error = child.communicate(timeout=120)
    assert b"KeyboardInterrupt" in error and child.returncode != 0


def test_settings_out_of_range(reader):
    for threads in [0, -1, 5000]:
        with pytest.raises(ValueError, match="threads"):
            expllm.Reader(threads=threads)
    with pytest.raises(ValueError, match="errors"):
        reader.read([], errors="ignore")
    with pytest.raises(ValueError, match="classes"):
        expllm.Composer(classes=9)
    with pytest.raises(ValueError, match="unknown action unit"):
        expllm.Composer().compose({"smile": 1.0}, "Happiness")
    with pytest.raises(ValueError, match="jaw_drop"):
        expllm.Composer().compose({"jaw_drop": 1.5}, "Happiness")
