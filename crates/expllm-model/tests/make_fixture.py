"""Writes a small random ExpLLM and what public modules compute with it.

    python make_fixture.py DIR [SEED]

The vision encoder is `transformers.Dinov2Model`, the language model
`transformers.LlamaForCausalLM`; adapters are forward hooks, and the position embedding is
resampled by `torch.nn.functional.interpolate` with the scale factor of the DINOv2 authors
(transformers passes the size, which gives other numbers). The folder has the official layout;
`expllm model parity DIR` then holds this project's model against `expected.safetensors`.

Needs torch, transformers and safetensors; sizes, ranks and rotary scaling are drawn from SEED.
"""

import json
import random
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import Dinov2Config, Dinov2Model, LlamaConfig, LlamaForCausalLM

folder, seed = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
draw = random.Random(seed)
torch.manual_seed(seed)
heads, kv_heads = draw.choice([(4, 4), (4, 2), (6, 3), (6, 1)])
vision_heads, rank = draw.choice([2, 3, 4]), draw.choice([2, 4, 8])
scaling = draw.choice([None, {"rope_type": "linear", "factor": 2.0}])
crop, patch, vocab, image_token = draw.choice([112, 224]), 14, 640, 3
patches = (crop // patch) ** 2

vision = Dinov2Model(
    Dinov2Config(
        hidden_size=12 * vision_heads, num_hidden_layers=draw.choice([2, 3]), mlp_ratio=4,
        num_attention_heads=vision_heads, image_size=518, patch_size=patch,
        initializer_range=0.2,
    )
).eval()
llm = LlamaForCausalLM(
    LlamaConfig(
        vocab_size=vocab, hidden_size=16 * heads, intermediate_size=draw.choice([96, 176]),
        num_hidden_layers=draw.choice([2, 3]), num_attention_heads=heads,
        num_key_value_heads=kv_heads, max_position_embeddings=1024, rms_norm_eps=1e-5,
        rope_scaling=scaling, attn_implementation="eager", initializer_range=0.2,
    )
).eval()
width, hidden = vision.config.hidden_size, llm.config.hidden_size
projector = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden))
with torch.no_grad():
    for name, parameter in [*vision.named_parameters(), *llm.named_parameters()]:
        if parameter.ndim == 1:
            centre = 1.0 if "norm" in name and "weight" in name or "lambda" in name else 0.0
            parameter.copy_(centre + 0.1 * torch.randn_like(parameter))

tensors = {}


def adapt(linear, name, suffix=""):
    """Adds `2 * B (A x)` to the output of a linear layer."""
    a = torch.randn(rank, linear.in_features) / linear.in_features**0.5
    b = torch.randn(linear.out_features, rank) / rank
    tensors[f"{name}lora_A{suffix}"], tensors[f"{name}lora_B{suffix}"] = a, b
    linear.register_forward_hook(lambda _, x, y: y + 2.0 * (x[0] @ a.T @ b.T))


def resample(embeddings, height, width_px):
    """37 x 37 to the grid of the image, by the factor (grid + 0.1) / 37."""
    stored, grid = vision.embeddings.position_embeddings, height // patch
    side = int((stored.shape[1] - 1) ** 0.5)
    image = stored[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    image = nn.functional.interpolate(image, scale_factor=(grid + 0.1) / side, mode="bicubic")
    return torch.cat([stored[:, :1], image.flatten(2).transpose(1, 2)], 1)


vision.embeddings.interpolate_pos_encoding = resample
for index, layer in enumerate(vision.encoder.layer):
    for letter, linear in [("q", layer.attention.attention.query), ("v", layer.attention.attention.value)]:
        adapt(linear, f"vision_model.blocks.{index}.attn.", f"_{letter}")
for index, layer in enumerate(llm.model.layers):
    for letter in "qv":
        linear = getattr(layer.self_attn, f"{letter}_proj")
        adapt(linear, f"model.layers.{index}.self_attn.{letter}_proj.")

state = vision.state_dict()
prefix = "vision_model."
tensors[prefix + "cls_token"] = state["embeddings.cls_token"]
tensors[prefix + "mask_token"] = state["embeddings.mask_token"]
tensors[prefix + "pos_embed"] = state["embeddings.position_embeddings"]
for kind in ["weight", "bias"]:
    tensors[f"{prefix}patch_embed.proj.{kind}"] = state[f"embeddings.patch_embeddings.projection.{kind}"]
    tensors[f"{prefix}norm.{kind}"] = state[f"layernorm.{kind}"]
    for index in range(len(vision.encoder.layer)):
        there, here = f"{prefix}blocks.{index}.", f"encoder.layer.{index}."
        parts = [state[f"{here}attention.attention.{p}.{kind}"] for p in ["query", "key", "value"]]
        tensors[f"{there}attn.qkv.{kind}"] = torch.cat(parts)
        tensors[f"{there}attn.proj.{kind}"] = state[f"{here}attention.output.dense.{kind}"]
        for name in ["norm1", "norm2", "mlp.fc1", "mlp.fc2"]:
            tensors[f"{there}{name}.{kind}"] = state[f"{here}{name}.{kind}"]
for index in range(len(vision.encoder.layer)):
    for number in [1, 2]:
        scale = state[f"encoder.layer.{index}.layer_scale{number}.lambda1"]
        tensors[f"{prefix}blocks.{index}.ls{number}.gamma"] = scale
tensors |= llm.state_dict() | {f"mm_projector.{k}": v for k, v in projector.state_dict().items()}

with torch.no_grad():
    images = torch.randn(2, 3, crop, crop)
    tokens = vision(images).last_hidden_state[:, 1:]
    projected = projector(tokens)
    ids = torch.randint(4, vocab, (2, patches + 23))
    ids[:, 0], ids[:, 9 : 9 + patches] = 1, image_token
    embeddings = llm.model.embed_tokens(ids)
    embeddings[:, 9 : 9 + patches] = projected
    labels = ids.clone()
    labels[:, : 15 + patches] = -100
    out = llm(inputs_embeds=embeddings, labels=labels)
    greedy, row = [], embeddings
    for _ in range(24):
        greedy.append(llm(inputs_embeds=row).logits[:, -1].argmax(-1))
        row = torch.cat([row, llm.model.embed_tokens(greedy[-1])[:, None]], 1)

folder.mkdir(parents=True, exist_ok=True)
save = lambda name, values: save_file({k: v.detach().clone().contiguous() for k, v in values.items()}, folder / name, {"format": "pt"})
save("model.safetensors", tensors)
save("expected.safetensors", {
    "images": images, "input_ids": ids.int(), "labels": labels.int(),
    "pos_embed_16x16": resample(None, crop, crop), "vision_patch_tokens": tokens,
    "projected": projected, "logits": out.logits, "loss": out.loss[None],
    "greedy_24": torch.stack(greedy, 1).int(),
})
config = {k: v for k, v in llm.config.to_dict().items() if k != "model_type"}
config |= {f"lora_{part}_{key}": value for part in ["vision", "llm"]
           for key, value in [("r", rank), ("alpha", 2 * rank), ("dropout", 0.05), ("enable", True)]}
config |= {"model_type": "locllm", "crop_size": crop, "num_patches": patches, "im_patch_token": image_token}
if scaling:
    config["rope_scaling"] = {"type": scaling["rope_type"], "factor": scaling["factor"]}
(folder / "config.json").write_text(json.dumps(config, indent=2))
(folder / "vision_config.json").write_text(json.dumps({
    "embed_dim": width, "depth": vision.config.num_hidden_layers, "num_heads": vision_heads,
    "mlp_ratio": 4, "patch_size": patch, "img_size": 518, "init_values": 1.0,
}, indent=2))
