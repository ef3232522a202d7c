//! GGUF files that lie, and damaged ones.

use proptest::prelude::*;

use super::*;

/// A value of the metadata: its type and bytes.
type Pair<'a> = (&'a str, u32, Vec<u8>);

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// A tensor of a made-up file: name, axes innermost first, number format, offset.
type Listed<'a> = (&'a str, &'a [u64], u32, u64);

fn file(keys: &[Pair<'_>], tensors: &[Listed<'_>], data: usize) -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((keys.len() as u64).to_le_bytes());
    for (key, kind, value) in keys {
        file.extend(text(key));
        file.extend(kind.to_le_bytes());
        file.extend(value);
    }
    for (name, axes, kind, offset) in tensors {
        file.extend(text(name));
        file.extend((axes.len() as u32).to_le_bytes());
        axes.iter().for_each(|axis| file.extend(axis.to_le_bytes()));
        file.extend(kind.to_le_bytes());
        file.extend(offset.to_le_bytes());
    }
    file.resize(file.len().next_multiple_of(32) + data, 0);
    file
}

fn refusal(file: &[u8]) -> String {
    match WeightFile::from_bytes(WeightFormat::Gguf, file) {
        Ok(_) => panic!("the file was read"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn tensors_that_lie_are_named() {
    let good: [Listed<'_>; 2] = [("a", &[32, 2], 8, 0), ("b", &[4], 0, 96)];
    let read = WeightFile::from_bytes(WeightFormat::Gguf, &file(&[], &good, 112)).unwrap();
    assert_eq!(read.info("a").unwrap().shape, [2, 32]);
    let huge = u64::MAX / 2;
    let cases: [(&[Listed<'_>], &[&str]); 11] = [
        (
            &[("a", &[32, 2], 8, 64)],
            &["\"a\"", "more than the file has"],
        ),
        (
            &[("a", &[32, 1 << 40], 8, 0)],
            &["\"a\"", "more than the file has"],
        ),
        (&[("a", &[huge, huge], 0, 0)], &["\"a\"", "cannot be"]),
        (
            &[("a", &[32, 2], 8, huge + 1)],
            &["\"a\"", "more than the file has"],
        ),
        (&[("a", &[32, 0], 8, 0)], &["\"a\"", "an axis of no length"]),
        (&[("a", &[16, 4], 8, 0)], &["\"a\"", "cannot be"]),
        (&[("a", &[32, 2], 8, 16)], &["\"a\"", "multiple of 32"]),
        (&[("a", &[32, 2], 99, 0)], &["\"a\"", "number format 99"]),
        (&[("a", &[1; 9], 0, 0)], &["\"a\"", "9 axes"]),
        (
            &[("a", &[32, 2], 8, 0), ("b", &[4], 0, 64)],
            &["\"b\"", "over another"],
        ),
        (
            &[("a", &[4], 0, 0), ("a", &[4], 0, 32)],
            &["\"a\"", "twice"],
        ),
    ];
    for (tensors, words) in cases {
        let message = refusal(&file(&[], tensors, 112));
        for word in words {
            assert!(message.contains(word), "{tensors:?}: {message}");
        }
    }
}

#[test]
fn headers_that_lie_are_refused_before_memory_is_taken() {
    let good = file(&[], &[("a", &[4], 0, 0)], 16);
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        refusal(&file)
    };
    assert!(with(0, b"PK\x03\x04").contains("GGUF"));
    assert!(with(4, &[1, 0, 0, 0]).contains("version 1"));
    assert!(with(4, &[0, 0, 0, 3]).contains("big endian"));
    assert!(with(8, &u64::MAX.to_le_bytes()).contains("tensors"));
    assert!(with(16, &u64::MAX.to_le_bytes()).contains("keys"));
    // The length of the name.
    assert!(with(24, &u64::MAX.to_le_bytes()).contains("ends inside"));
    for length in 0..good.len() {
        refusal(&good[..length]);
    }
    let list = |kind: u32, count: u64, bytes: &[u8]| {
        [&kind.to_le_bytes()[..], &count.to_le_bytes(), bytes].concat()
    };
    let mut nested = list(4, 0, &[]);
    for _ in 0..6 {
        nested = list(9, 1, &nested);
    }
    let cases: [(&[Pair<'_>], &str); 7] = [
        (&[("a", 9, list(4, u64::MAX, &[0; 64]))], "ends inside"),
        (&[("a", 9, list(8, u64::MAX, &[0; 64]))], "ends inside"),
        (&[("a", 9, nested)], "inside each other"),
        (&[("a", 77, vec![0; 8])], "unknown type 77"),
        (&[("a", 7, vec![1]), ("a", 7, vec![1])], "twice"),
        (&[("general.alignment", 4, vec![0; 4])], "aligned"),
        (&[("general.alignment", 4, vec![3, 0, 0, 0])], "aligned"),
    ];
    for (keys, word) in cases {
        let message = refusal(&file(keys, &[], 0));
        assert!(message.contains(word), "{message}");
    }
}

/// Another value of a key of the fixture: every occurrence of some bytes changed.
fn changed(from: &[u8], to: &[u8]) -> String {
    let mut file = std::fs::read(fixture("model.gguf")).unwrap();
    let place = file.windows(from.len()).position(|bytes| bytes == from);
    let place = place.unwrap();
    file[place..place + to.len()].copy_from_slice(to);
    match LanguageModel::from_gguf(&file).and_then(|model| model.verify()) {
        Ok(()) => panic!("{:?} was read", String::from_utf8_lossy(to)),
        Err(error) => error.to_string(),
    }
}

#[test]
fn models_that_are_no_llama_are_refused() {
    let count = |key: &str, number: u32| {
        let from = [key.as_bytes(), &4_u32.to_le_bytes()].concat();
        let to = [&from[..], &number.to_le_bytes()].concat();
        changed(&from, &to)
    };
    let other = [text("llama"), text("general.name")].concat();
    let message = changed(&other, &text("qwen2"));
    assert!(message.contains("\"qwen2\""), "{message}");
    let message = changed(b"llama.block_count", b"llama.blocks_ount");
    assert!(message.contains("llama.block_count"), "{message}");
    let message = count("llama.attention.head_count", 0);
    assert!(message.contains("0 heads"), "{message}");
    let message = count("llama.attention.head_count", 3);
    assert!(message.contains("wide"), "{message}");
    let message = count("llama.block_count", 3);
    assert!(message.contains("model.layers.2."), "{message}");
    let message = count("llama.block_count", u32::MAX);
    assert!(message.contains("llm.num_layers"), "{message}");
    let message = changed(b"blk.0.attn_q.weight", b"blk.0.attn_q.wait_t");
    assert!(message.contains("self_attn.q_proj.weight"), "{message}");
    assert!(message.contains("wait_t"), "{message}");
    let message = changed(b"tokenizer.ggml.scores", b"tokenizer.ggml.scared");
    assert!(message.contains("tokenizer.ggml.scores"), "{message}");
}

/// Bytes of a fixture before its tensors, at most.
const HEADER: usize = 9_000;

/// Damaged files of a run; `PROPTEST_CASES` says another number.
fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok();
    let cases = cases.and_then(|count| count.parse().ok());
    ProptestConfig::with_cases(cases.unwrap_or(1000))
}

/// Reads all that a file announces, and its tokenizer.
fn read_all(source: &dyn TensorSource, file: &[u8]) {
    for name in source.names() {
        let data = source.read(&name).unwrap();
        // Four bits become 32.
        assert!(data.as_bytes().len() <= 8 * file.len());
        let blocks = source.read_blocks(&name).unwrap();
        assert!(blocks.is_none_or(|blocks| blocks.len() <= file.len()));
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn damaged_files_never_panic(
        name in prop::sample::select(vec!["model.gguf", "byte_level.gguf", "blocks.gguf"]),
        damage in prop::collection::vec(
            (0..HEADER, prop::collection::vec(any::<u8>(), 1..9)),
            1..4,
        ),
        cut in prop::option::weighted(0.2, 0..HEADER),
    ) {
        let mut file = std::fs::read(fixture(name)).unwrap();
        for (at, bytes) in damage {
            let at = at % (file.len() - bytes.len());
            file[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        file.truncate(cut.unwrap_or(usize::MAX));
        if let Ok(file_itself) = WeightFile::from_bytes(WeightFormat::Gguf, &file) {
            read_all(&file_itself, &file);
        }
        if let Ok(model) = LanguageModel::from_gguf(&file)
            && model.verify().is_ok()
        {
            read_all(model.source.as_ref(), &file);
            if let Some(tokenizer) = model.tokenizer {
                let ids = tokenizer.encode("The left brow is lowered.").unwrap();
                tokenizer.decode(&ids).unwrap();
            }
        }
    }
}
