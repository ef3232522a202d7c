#!/usr/bin/env python3
"""Times this project, llama.cpp and PyTorch on the same shapes in alternating runs.

    cargo build --release -p expllm-benches --bin model_speed
    pip install torch numpy xllamacpp            # xllamacpp holds llama.cpp
    python benches/peers/compare.py [--rounds 5] [CASE ...]

Cases: bf16, f16, q8, q4 (four layers of the 7B shape with a head of 32,000 tokens: a prompt of 400
tokens, and a token after it) and vit-f32, vit-bf16 (ViT-L/14, one image). Every worker is a process
of its own with random weights, told when to run, so that all of them meet the same machine; the
ratio of a row is the median of the ratios within a round. Two threads each, or --threads.

`--model FILE.gguf` is a case of its own: a language model in both programs from the same file, a
prompt of 512 tokens and 128 tokens after it. Its peer is llama-cpp-python (0.3.36), built from its
source package for this machine: CMAKE_ARGS=-DGGML_NATIVE=ON pip install --no-binary :all: ...
"""

import argparse
import os
import statistics
import struct
import subprocess
import sys
import tempfile

PROMPT, TOKENS = 400, 16
WIDTH, INNER, LAYERS, HEADS, VOCAB = 4096, 11008, 4, 32, 32000

# Case: our format, and the peers with theirs.
CASES = {
    "bf16": ("llm", "bf16", [("llama.cpp", "bf16"), ("PyTorch", "bf16")]),
    "f16": ("llm", "f16", [("llama.cpp", "f16")]),
    "q8": ("llm", "q8_0", [("llama.cpp", "q8_0")]),
    "q4": ("llm", "q4a", [("llama.cpp", "q4_0"), ("llama.cpp", "q4_k")]),
    "vit-f32": ("vit", "f32", [("PyTorch", "f32")]),
    "vit-bf16": ("vit", "bf16", [("PyTorch", "bf16")]),
}

# --- llama.cpp ------------------------------------------------------------------------------------

# GGUF number, numbers of a block, bytes of a block, and where its scales (f16) stand.
GGML = {
    "f32": (0, 1, 4, ()),
    "f16": (1, 1, 2, ()),
    "q4_0": (2, 32, 18, (0,)),
    "q8_0": (8, 32, 34, (0,)),
    "q4_k": (12, 256, 144, (0, 2)),
    "bf16": (30, 1, 2, ()),
}


def tensor_bytes(kind, count):
    """Random weights of a format, as many as `count` says; one stretch of them is repeated."""
    import numpy as np

    _, block, size, scales = GGML[kind]
    draw = np.random.default_rng(1)
    blocks = count // block
    stretch = min(blocks, (1 << 22) // block)
    if kind == "f32":
        rows = draw.normal(1, 0.1, stretch).astype("<f4").view(np.uint8).reshape(stretch, 4)
    elif kind == "f16":
        rows = draw.normal(0, 0.02, stretch).astype("<f2").view(np.uint8).reshape(stretch, 2)
    elif kind == "bf16":
        wide = draw.normal(0, 0.02, stretch).astype("<f4").view(np.uint32)
        rows = (wide >> 16).astype("<u2").view(np.uint8).reshape(stretch, 2)
    else:
        rows = draw.integers(0, 256, (stretch, size), dtype=np.uint8)
        for place in scales:
            scale = draw.uniform(1e-4, 3e-4, stretch).astype("<f2").view(np.uint8)
            rows[:, place : place + 2] = scale.reshape(stretch, 2)
    repeats = -(-blocks // stretch)
    return np.tile(rows, (repeats, 1))[:blocks].tobytes()


def write_gguf(path, kind):
    """Writes the four layers as a GGUF file of the architecture `llama`."""

    def text(value):
        data = value.encode()
        return struct.pack("<Q", len(data)) + data

    def entry(key, number, data):
        return text(key) + struct.pack("<I", number) + data

    names = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    names += [f"t{index}" for index in range(VOCAB - len(names))]
    kinds = [2, 3, 3] + [6] * 256 + [1] * (VOCAB - 259)
    array = lambda number, items: struct.pack("<IQ", number, len(items)) + b"".join(items)
    u32 = lambda value: struct.pack("<I", value)
    f32 = lambda value: struct.pack("<f", value)
    fields = [
        entry("general.architecture", 8, text("llama")),
        entry("general.alignment", 4, u32(32)),
        entry("llama.context_length", 4, u32(4096)),
        entry("llama.embedding_length", 4, u32(WIDTH)),
        entry("llama.block_count", 4, u32(LAYERS)),
        entry("llama.feed_forward_length", 4, u32(INNER)),
        entry("llama.rope.dimension_count", 4, u32(WIDTH // HEADS)),
        entry("llama.attention.head_count", 4, u32(HEADS)),
        entry("llama.attention.head_count_kv", 4, u32(HEADS)),
        entry("llama.attention.layer_norm_rms_epsilon", 6, f32(1e-5)),
        entry("tokenizer.ggml.model", 8, text("llama")),
        entry("tokenizer.ggml.tokens", 9, array(8, [text(name) for name in names])),
        entry("tokenizer.ggml.scores", 9, array(6, [f32(-i) for i in range(VOCAB)])),
        entry("tokenizer.ggml.token_type", 9, array(5, [struct.pack("<i", k) for k in kinds])),
        entry("tokenizer.ggml.bos_token_id", 4, u32(1)),
        entry("tokenizer.ggml.eos_token_id", 4, u32(2)),
    ]
    tensors = [("token_embd.weight", (WIDTH, VOCAB), kind)]
    for layer in range(LAYERS):
        square, wide, narrow = (WIDTH, WIDTH), (WIDTH, INNER), (INNER, WIDTH)
        shapes = {"attn_q": square, "attn_k": square, "attn_v": square, "attn_output": square}
        shapes |= {"ffn_gate": wide, "ffn_up": wide, "ffn_down": narrow}
        tensors += [(f"blk.{layer}.{name}.weight", s, kind) for name, s in shapes.items()]
        norms = ("attn_norm", "ffn_norm")
        tensors += [(f"blk.{layer}.{name}.weight", (WIDTH,), "f32") for name in norms]
    tensors += [("output_norm.weight", (WIDTH,), "f32"), ("output.weight", (WIDTH, VOCAB), kind)]
    place, infos, sizes = 0, b"", []
    for name, shape, of in tensors:
        number, block, size, _ = GGML[of]
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        axes = b"".join(struct.pack("<Q", axis) for axis in shape)
        infos += text(name) + u32(len(shape)) + axes + struct.pack("<IQ", number, place)
        sizes.append((of, count))
        place += -(-(count // block * size) // 32) * 32
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields)) + b"".join(fields) + infos
    made = {}
    with open(path, "wb") as file:
        file.write(head + b"\0" * (-len(head) % 32))
        for size in sizes:
            if size not in made:
                made[size] = tensor_bytes(*size)
            file.write(made[size] + b"\0" * (-len(made[size]) % 32))


def serve_llama(kind, threads):
    import json

    import xllamacpp

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.gguf")
        write_gguf(path, kind)
        params = xllamacpp.CommonParams()
        params.model.path = path
        params.n_ctx = params.n_batch = params.n_ubatch = 512
        params.n_parallel = 1
        params.verbosity = -1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        server = xllamacpp.Server(params)

        def run():
            request = {
                "prompt": list(range(300, 300 + PROMPT)),
                "n_predict": TOKENS + 1,
                "temperature": 0,
                "cache_prompt": False,
                "ignore_eos": True,
            }
            answer = server.handle_completions(request)
            answer = json.loads(answer) if isinstance(answer, (str, bytes)) else answer
            timings = answer["timings"]
            assert timings["prompt_n"] == PROMPT, timings
            return timings["prompt_ms"], timings["predicted_per_token_ms"]

        answer_lines(run)


def serve_file(path, threads):
    """A file in the llama.cpp of llama-cpp-python, by its C interface."""
    import ctypes
    import time

    import llama_cpp

    llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_default_params()
    model = llama_cpp.llama_model_load_from_file(path.encode(), params)
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = 1024, 512, 512
    params.n_threads = params.n_threads_batch = threads
    context = llama_cpp.llama_init_from_model(model, params)

    def decode(tokens):
        room = (llama_cpp.llama_token * len(tokens))(*tokens)
        batch = llama_cpp.llama_batch_get_one(room, len(tokens))
        assert llama_cpp.llama_decode(context, batch) == 0
        llama_cpp.llama_synchronize(context)

    def run():
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        start = time.perf_counter()
        decode(range(100, 612))
        prompt = time.perf_counter() - start
        decode([7])
        start = time.perf_counter()
        for token in range(128):
            decode([1001 + token])
        return prompt * 1e3, (time.perf_counter() - start) * 1e3 / 128

    answer_lines(run)


# --- PyTorch --------------------------------------------------------------------------------------


def serve_torch(part, kind, threads):
    import time

    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[kind]

    def matrix(rows, columns):
        return (torch.randn(rows, columns) * columns**-0.5).to(dtype)

    def milliseconds(run):
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start) * 1e3

    def vit():
        width, heads, patch = 1024, 16, matrix(1024, 588)
        blocks = [
            [matrix(3 * width, width), matrix(width, width)]
            + [matrix(4 * width, width), matrix(width, 4 * width)]
            for _ in range(24)
        ]
        bias = [torch.zeros(n * width, dtype=dtype) for n in (3, 1, 4, 1)]
        norm = [torch.ones(width, dtype=dtype), torch.zeros(width, dtype=dtype)]
        image = torch.ones(1, 3, 224, 224, dtype=dtype)

        def forward():
            x = F.conv2d(image, patch.view(width, 3, 14, 14), stride=14).flatten(2).transpose(1, 2)
            x = torch.cat([x[:, :1], x], 1)
            for qkv, out, up, down in blocks:
                y = F.linear(F.layer_norm(x, (width,), *norm), qkv, bias[0])
                q, k, v = y.view(1, 257, 3, heads, 64).permute(2, 0, 3, 1, 4)
                y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, 257, width)
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


# --- Comparing ------------------------------------------------------------------------------------


def answer_lines(run):
    """The protocol of workers: `ready`, then a line of times for each line that comes in."""
    print("ready", flush=True)
    for _ in sys.stdin:
        print(*(f"{time:.3f}" for time in run()), flush=True)


class Worker:
    def __init__(self, command):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )

    def wait(self):
        for line in self.process.stdout:
            if line.strip() == "ready":
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

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(case, options):
    part, ours, peers = CASES.get(case) or ("file", case, [("llama.cpp", "file")])
    workers = {("expllm", ours): Worker([options.binary, part, ours])}
    for name, kind in peers:
        library = {"llama.cpp": "llama", "PyTorch": "torch"}[name]
        of = ours if part == "file" else kind
        arguments = [__file__, "--threads", str(options.threads), "--worker", library, part, of]
        workers[name, kind] = Worker([sys.executable, *arguments])
    for worker in workers.values():
        worker.wait()
    for worker in workers.values():
        worker.run()  # Warms up.
    rounds = [{key: w.run() for key, w in workers.items()} for _ in range(options.rounds)]
    for worker in workers.values():
        worker.close()
    prompt = 512 if part == "file" else 400
    what = ["image"] if part == "vit" else [f"prompt of {prompt} tokens", "token"]
    for index, name in enumerate(what):
        for key in list(workers)[1:]:
            of = lambda k: [r[k][index] for r in rounds]
            mine, theirs = of(("expllm", ours)), of(key)
            ratios = sorted(a / b for a, b in zip(mine, theirs))
            print(
                f"| {name} | {os.path.basename(ours)} | {statistics.median(mine):.1f} ms | {key[0]} {key[1]} "
                f"| {statistics.median(theirs):.1f} ms | {statistics.median(ratios):.2f} "
                f"({ratios[0]:.2f} to {ratios[-1]:.2f}) |",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--binary", default="target/release/model_speed")
    parser.add_argument("--model", metavar="FILE.gguf", help="a language model in both programs")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    if options.worker:
        library, part, kind = options.worker
        if part == "file":
            serve_file(kind, options.threads)
        elif library == "llama":
            serve_llama(kind, options.threads)
        else:
            serve_torch(part, kind, options.threads)
        return
    unknown = [case for case in options.cases if case not in CASES]
    if unknown:
        parser.error(f"unknown {unknown}; known are {', '.join(CASES)}")
    print("| what | format | expllm | peer | its time | ratio |\n|---|---|---|---|---|---|")
    cases = options.cases or ([] if options.model else CASES)
    for case in [*cases, *filter(None, [options.model])]:
        compare(case, options)


if __name__ == "__main__":
    main()
