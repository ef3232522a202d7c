//! Synthetic faces, augmentation and the training recipes of expllm.
