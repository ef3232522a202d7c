"""The four layers of the 7B shape as a GGUF file with random weights."""

import struct

WIDTH, INNER, LAYERS, HEADS, VOCAB = 4096, 11008, 4, 32, 32000

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
