//! Reads a PyTorch file and every tensor that it announces.
//!
//! A mutated archive rarely reaches the pickle inside, so the bytes are also read as the pickle
//! of a sound archive.
#![no_main]

use std::io::{Cursor, Write};

use expllm_model::TensorSource;
use expllm_model::checkpoint::{WeightFile, WeightFormat};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    read(data);
    read(&archive(data));
});

fn read(file: &[u8]) {
    let Ok(torch) = WeightFile::from_bytes(WeightFormat::Torch, file) else {
        return;
    };
    for name in torch.names() {
        let tensor = torch
            .read(&name)
            .expect("an announced tensor lies in the file");
        assert!(tensor.as_bytes().len() <= file.len());
    }
}

/// An uncompressed zip archive of a pickle and a storage "0" of 64 bytes.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let members: [(&str, &[u8]); 2] = [("a/data.pkl", pickle), ("a/data/0", &[0; 64])];
    let (mut file, mut directory) = (Cursor::new(Vec::new()), Vec::new());
    for (name, content) in members {
        let start = file.position() as u32;
        // Version, flags, method, time, date, checksum (not looked at), sizes, name length.
        let mut fields = Vec::new();
        fields.extend([10, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        fields.extend([0; 4]);
        fields.extend((content.len() as u32).to_le_bytes());
        fields.extend((content.len() as u32).to_le_bytes());
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend([0, 0]);
        for part in [b"PK\x03\x04".as_slice(), &fields, name.as_bytes(), content] {
            file.write_all(part).expect("memory can be written");
        }
        directory.extend(b"PK\x01\x02\x0a\x00");
        directory.extend(&fields);
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = file.position() as u32;
    let mut file = file.into_inner();
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0\x02\0\x02\0");
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0, 0]);
    file
}
