"""Videos, frame by frame and as tables."""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from multiprocessing import get_context

import numpy as np
import pytest
from PIL import Image
from test_program import close, program

import expllm

COUNT = 12


def pictures(photo):
    """A face that moves two pixels a frame."""
    image = Image.open(photo).convert("RGB")
    return [image.crop((120 - 2 * n, 0, 360 - 2 * n, 240)) for n in range(COUNT)]


@pytest.fixture(scope="module")
def clips(photo, tmp_path_factory):
    """The same frames as a folder, a GIF, a WebP and a PNG, by name."""
    root = tmp_path_factory.mktemp("clips")
    (root / "frames").mkdir()
    frames = pictures(photo)
    for number, frame in enumerate(frames):
        frame.save(root / "frames" / f"{number}.png")
    rest = {"save_all": True, "append_images": frames[1:], "duration": 40}
    frames[0].save(root / "clip.gif", **rest)
    frames[0].save(root / "clip.webp", lossless=True, **rest)
    frames[0].save(root / "clip.png", **rest)
    names = ("frames", "clip.gif", "clip.webp", "clip.png")
    return {name: root / name for name in names}


def encoded(clips, out, *arguments):
    """A video by ffmpeg; skips where it is not installed."""
    if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        pytest.skip("ffmpeg is absent")
    frames = ["-framerate", "25", "-i", clips["frames"] / "%d.png"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *frames, *arguments, out], check=True)
    return out


@pytest.mark.parametrize("name", ["frames", "clip.gif", "clip.webp", "clip.png"])
def test_a_face_is_one_person_in_every_frame(reader, clips, name):
    frames = list(reader.video(clips[name]))
    assert [frame.number for frame in frames] == list(range(COUNT))
    assert [frame.time for frame in frames] == pytest.approx([0.04 * n for n in range(COUNT)])
    for frame in frames:
        assert list(frame.people) == [0] and frame.error is None
        face = frame.people[0]
        assert face.landmarks.shape == (68, 2) and face.crop is None
        assert face.explain().chain.conclusion
    corners = np.array([frame.people[0].landmarks[:, 0].mean() for frame in frames])
    assert np.diff(corners) == pytest.approx([2] * (COUNT - 1), abs=1.5)


def test_a_video_of_ffmpeg_is_read_with_its_times(reader, clips, tmp_path):
    path = encoded(clips, tmp_path / "clip.avi", "-c:v", "mjpeg", "-q:v", "2")
    video = reader.video(path, every=3, crops=1)
    assert video.size == (240, 240) and video.rate == 25 and video.expected_frames == 4
    assert "240 x 240" in repr(video)
    frames = list(video)
    assert [frame.time for frame in frames] == pytest.approx([0, 0.12, 0.24, 0.36])
    assert [frame.people[0].crop is None for frame in frames] == [False, True, True, True]


def test_a_stretch_of_time(reader, clips):
    frames = list(reader.video(clips["frames"], fps=10, start=0.2, end=0.5, every=2))
    assert [(f.number, f.time) for f in frames] == [(0, pytest.approx(0.2)), (2, pytest.approx(0.4))]


def test_the_same_rows_as_the_program(reader, clips, tmp_path):
    shutil.copytree(clips["frames"], tmp_path / "frames")
    (tmp_path / "frames" / "7.png").write_bytes(b"broken")
    for path in (clips["clip.gif"], tmp_path / "frames"):
        # A bad frame is a row, and the program's status.
        said = subprocess.run([program(), "video", "--format", "jsonl", path], capture_output=True)
        wanted = [json.loads(line) for line in said.stdout.splitlines()]
        close(reader.video(path).to_dicts(), wanted)
        assert len(wanted) == COUNT


def test_tables_have_a_row_per_person(reader, clips, tmp_path):
    shutil.copytree(clips["frames"], tmp_path / "frames")
    Image.new("RGB", (240, 240)).save(tmp_path / "frames" / "12.png")
    done = []
    frame = reader.video(tmp_path / "frames", progress=done.append).to_pandas()
    assert list(frame.columns[:5]) == ["time", "frame", "person", "file", "face"]
    assert len(frame.columns) == 3 + 7 + 35 + 8 + 5 and len(frame) == COUNT + 1
    assert done == list(range(1, COUNT + 2))
    assert list(frame["person"].isna()) == [False] * COUNT + [True]
    table = reader.video(tmp_path / "frames").to_arrow()
    assert table.column_names == list(frame.columns)
    assert table["jaw_drop"].to_pylist()[:COUNT] == list(frame["jaw_drop"][:COUNT])
    theirs = reader.video(tmp_path / "frames").to_pandas("openface")
    assert theirs["timestamp"][3] == pytest.approx(0.12)
    assert list(theirs["success"]) == [1] * COUNT + [0]
    assert list(theirs["frame"]) == list(range(1, COUNT + 2))
    fex = reader.video(tmp_path / "frames", every=2).to_pandas("pyfeat")
    assert list(fex["frame"]) == list(range(0, COUNT + 1, 2))


def test_what_is_no_video_says_so(reader, photo, clips, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        reader.video(tmp_path / "nowhere.mp4")
    with pytest.raises(expllm.VideoError, match="zero byte"):
        reader.video("a\0b")
    for odd in [3, None, b"clip.gif", [photo]]:
        with pytest.raises(TypeError, match="must be a path"):
            reader.video(odd)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "none").mkdir()
    for name, reason in [("empty.mp4", "is empty"), ("noise.mp4", ""), ("none", "holds no frames")]:
        with pytest.raises(expllm.VideoError, match=f"{name}.*{reason}"):
            reader.video(tmp_path / name)
    for wrong in [{"every": 0}, {"start": -1.0}, {"end": float("nan")}, {"fps": 0},
                  {"start": 2.0, "end": 1.0}]:
        with pytest.raises(ValueError, match=list(wrong)[-1]):
            reader.video(clips["clip.gif"], **wrong)


def test_a_pipe_does_not_hang(reader, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(expllm.VideoError, match="neither a file nor a folder"):
        reader.video(tmp_path / "pipe")


def test_without_ffmpeg_the_message_says_how_to_install_it(reader, clips, tmp_path, monkeypatch):
    (tmp_path / "clip.avi").write_bytes(b"RIFF" + bytes(100))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(expllm.VideoError, match=r"ffprobe was not found; install"):
        reader.video(tmp_path / "clip.avi")
    assert len(list(reader.video(clips["clip.gif"]))) == COUNT


def test_a_cut_video_keeps_its_frames_and_then_raises(reader, clips, tmp_path):
    data = clips["clip.gif"].read_bytes()
    (tmp_path / "cut.gif").write_bytes(data[: len(data) * 2 // 3])
    video, frames = reader.video(tmp_path / "cut.gif"), []
    with pytest.raises(expllm.VideoError, match="broken after"):
        for frame in video:
            frames.append(frame)
    assert 3 < len(frames) < COUNT
    assert list(video) == []


def test_one_who_takes_their_time_holds_up_nobody(clips, photo):
    reader = expllm.Reader(threads=1)
    videos = [reader.video(clips["clip.gif"]) for _ in range(3)]
    firsts = [next(video) for video in videos]
    assert len(reader.read(photo)) == len(firsts[0].people) == 1
    videos[0].close()
    assert list(videos[0]) == []
    with videos[1] as video:
        next(video)
    assert list(videos[1]) == []
    assert len(list(videos[2])) == COUNT - 1


def test_threads_share_a_video(reader, clips):
    video, numbers = reader.video(clips["clip.gif"]), []
    threads = [threading.Thread(target=lambda: numbers.extend(f.number for f in video))
               for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(numbers) == list(range(COUNT))


def _child(video, answers):
    try:
        next(video)
        answers.put("read")
    except RuntimeError as error:
        answers.put(str(error))


def test_a_forked_child_cannot_go_on(reader, clips):
    video = reader.video(clips["clip.gif"])
    next(video)
    context = get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_child, args=(video, answers))
    child.start()
    assert "forked" in answers.get(timeout=60)
    child.join(timeout=60)
    assert len(list(video)) == COUNT - 1


def test_ctrl_c_ends_a_wait(tmp_path, clips):
    path = encoded(clips, tmp_path / "clip.avi", "-c:v", "mjpeg")
    # A program in place of ffmpeg that gives a frame, and then nothing for a long time.
    real = shutil.which("ffmpeg")
    fake = tmp_path / "bin" / "ffmpeg"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\n[ "$1" = -version ] && exec {real} -version\n'
                    f'{real} "$@"\nexec sleep 30\n')
    fake.chmod(0o755)
    code = (
        "import expllm, os\n"
        f"os.environ['PATH'] = {str(fake.parent)!r} + ':' + os.environ['PATH']\n"
        f"video = expllm.Reader(threads=1).video({str(path)!r})\n"
        "print('go', flush=True)\n"
        "for frame in video: pass\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
    assert child.stdout.readline() == b"go\n"
    try:
        child.communicate(timeout=3)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGINT)
    _, error = child.communicate(timeout=60)
    assert b"KeyboardInterrupt" in error and child.returncode != 0


def test_videos_leave_no_objects_behind(reader, clips):
    def objects():
        gc.collect()
        return len(gc.get_objects())

    list(reader.video(clips["clip.gif"]))
    before = objects()
    for _ in range(5):
        list(reader.video(clips["clip.gif"]))
        next(reader.video(clips["clip.gif"]))
    assert objects() - before < 20
