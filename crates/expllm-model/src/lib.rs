//! ExpLLM: DINOv2 encoder, projector, LLaMA decoder, LoRA, tokenizer, generation, checkpoints.
