//! One file per layout, or per family of layouts.

pub(crate) mod affectnet;
pub(crate) mod ckplus;
pub(crate) mod csv;
pub(crate) mod expllm;
pub(crate) mod fer;
pub(crate) mod folder;
pub(crate) mod frames;
pub(crate) mod llava;
pub(crate) mod micro;
pub(crate) mod rafdb;
mod table;

#[cfg(test)]
pub(crate) mod testing;
