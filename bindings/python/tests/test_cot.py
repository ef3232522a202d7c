"""The Exp-CoT engine with a function as its writer."""

import pytest

import expllm
from expllm import cot

UNITS = {"left_lip_corner_pull": 0.8, "right_lip_corner_pull": 0.8}
RECORDS = [{"file_name": f"{n}.png", "emo": "Happiness", "au": UNITS} for n in range(6)]


def composer(request):
    chain = expllm.Composer().compose(request.units, request.label, seed=request.seed)
    return str(chain)


def test_a_writer_that_passes(tmp_path):
    built = cot.build(RECORDS, writer=composer, out=tmp_path / "out.jsonl", threads=2)
    assert built.records == 6 and built.by_status == {"checked": 6}
    assert [record["file_name"] for record in built] == [r["file_name"] for r in RECORDS]


def test_bad_texts_go_back_with_what_was_found(tmp_path):
    asked = []

    def stubborn(request):
        asked.append(request.messages)
        return "She smiles."

    built = cot.build(RECORDS[:1], writer=stubborn, out=tmp_path / "out.jsonl", repairs=2)
    assert built.by_status == {"composed": 1} and built.findings == {"parts": 1}
    # The question, then the last text and what is wrong with it.
    assert [len(messages) for messages in asked] == [2, 4, 4]
    assert asked[1][-2]["content"] == "She smiles."


def test_an_exception_ends_the_run_and_the_next_goes_on(tmp_path):
    written = []

    def breaking(request):
        if len(written) == 3:
            raise ConnectionError("the line is dead")
        written.append(request.file_name)
        return composer(request)

    out = tmp_path / "out.jsonl"
    with pytest.raises(ConnectionError, match="dead"):
        cot.build(RECORDS, writer=breaking, out=out, name="w")
    before = out.read_text().splitlines()
    assert len(before) == 3
    built = cot.build(RECORDS, writer=composer, out=out, name="w")
    assert built.records == 6 and out.read_text().splitlines()[:3] == before


def test_records_can_be_skipped_and_answers_must_be_texts(tmp_path):
    def skipping(request):
        raise cot.SkipRecord("no")

    built = cot.build(
        RECORDS[:2], writer=skipping, out=tmp_path / "a.jsonl", on_failure="set_aside"
    )
    assert built.by_status == {"set_aside": 2}
    with pytest.raises(TypeError, match="must return a text"):
        cot.build(RECORDS[:1], writer=lambda request: 3, out=tmp_path / "b.jsonl")
