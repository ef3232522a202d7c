"""Serves a tiny random language model through llama.cpp's own HTTP server.

Needs the package `xllamacpp` (wheels on PyPI). Prints one line: the base address, or
`skip: REASON`. Ends when its input ends.

    python3 llama_server.py FOLDER

The model is written to FOLDER first: a llama of one layer with random weights, whose vocabulary
has some words beside the bytes. Bytes and the end token have output weight zero, so that greedy
answers are words and as long as they are allowed to be.
"""

import array
import random
import struct
import sys
from pathlib import Path

WORDS = "the face jaw brow lip eye corner mouth is are raised lowered wide open sign of joy fear and".split()
WIDTH, HIDDEN, HEADS, CONTEXT = 32, 64, 4, 8192
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"

# Type numbers of GGUF values.
U32, I32, F32, STRING, ARRAY = 4, 5, 6, 8, 9


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, content):
    if kind == STRING:
        return text(content)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f"}[kind], content)


def entry(key, kind, content):
    if isinstance(content, list):
        items = b"".join(value(kind, item) for item in content)
        return text(key) + struct.pack("<IIQ", ARRAY, kind, len(content)) + items
    return text(key) + struct.pack("<I", kind) + value(kind, content)


def write_model(path):
    """Writes GGUF version 3: header, metadata, tensor infos, aligned f32 data."""
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    kinds = [2, 3, 3] + [6] * 256 + [1] * len(WORDS)
    words = ["\u2581" + word for word in WORDS]
    pieces += words
    count = len(pieces)
    metadata = [
        entry("general.architecture", STRING, "llama"),
        entry("general.name", STRING, "tiny random llama"),
        entry("llama.context_length", U32, CONTEXT),
        entry("llama.embedding_length", U32, WIDTH),
        entry("llama.block_count", U32, 1),
        entry("llama.feed_forward_length", U32, HIDDEN),
        entry("llama.attention.head_count", U32, HEADS),
        entry("llama.attention.head_count_kv", U32, HEADS),
        entry("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        entry("llama.rope.dimension_count", U32, WIDTH // HEADS),
        entry("llama.vocab_size", U32, count),
        entry("tokenizer.ggml.model", STRING, "llama"),
        entry("tokenizer.ggml.tokens", STRING, pieces),
        entry("tokenizer.ggml.scores", F32, [-float(i) for i in range(count)]),
        entry("tokenizer.ggml.token_type", I32, kinds),
        entry("tokenizer.ggml.unknown_token_id", U32, 0),
        entry("tokenizer.ggml.bos_token_id", U32, 1),
        entry("tokenizer.ggml.eos_token_id", U32, 2),
        entry("tokenizer.chat_template", STRING, TEMPLATE),
    ]
    draw = random.Random(1)

    def noise(rows, columns):
        return [draw.gauss(0, 0.3) for _ in range(rows * columns)]

    first_word = count - len(words)
    output = [0.0] * (first_word * WIDTH) + [4 * x for x in noise(len(words), WIDTH)]
    square = [WIDTH, WIDTH]
    tensors = [
        ("token_embd.weight", [WIDTH, count], noise(count, WIDTH)),
        ("output_norm.weight", [WIDTH], [1.0] * WIDTH),
        ("output.weight", [WIDTH, count], output),
        ("blk.0.attn_norm.weight", [WIDTH], [1.0] * WIDTH),
        ("blk.0.attn_q.weight", square, noise(WIDTH, WIDTH)),
        ("blk.0.attn_k.weight", square, noise(WIDTH, WIDTH)),
        ("blk.0.attn_v.weight", square, noise(WIDTH, WIDTH)),
        ("blk.0.attn_output.weight", square, noise(WIDTH, WIDTH)),
        ("blk.0.ffn_norm.weight", [WIDTH], [1.0] * WIDTH),
        ("blk.0.ffn_gate.weight", [WIDTH, HIDDEN], noise(WIDTH, HIDDEN)),
        ("blk.0.ffn_up.weight", [WIDTH, HIDDEN], noise(WIDTH, HIDDEN)),
        ("blk.0.ffn_down.weight", [HIDDEN, WIDTH], noise(HIDDEN, WIDTH)),
    ]
    out = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
    out += b"".join(metadata)
    offset = 0
    for name, shape, numbers in tensors:
        dims = struct.pack(f"<{len(shape)}Q", *shape)
        out += text(name) + struct.pack("<I", len(shape)) + dims + struct.pack("<IQ", 0, offset)
        offset += -(-4 * len(numbers) // 32) * 32
    for _, _, numbers in tensors:
        out += bytes(-len(out) % 32)
        out += array.array("f", numbers).tobytes()
    path.write_bytes(out)


def main():
    try:
        import xllamacpp
    except ImportError as error:
        print(f"skip: {error}", flush=True)
        return
    path = Path(sys.argv[1]) / "tiny.gguf"
    write_model(path)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.port = 0
    params.cpuparams.n_threads = 1
    params.warmup = False
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    sys.stdin.read()


main()
