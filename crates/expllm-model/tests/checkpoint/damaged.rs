//! Files whose numbers lie, and damaged ones.

use proptest::prelude::*;

use super::*;

#[test]
fn indices_that_lie_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("many");
    let options = SaveOptions {
        shard_bytes: 400_000,
        ..SaveOptions::default()
    };
    save(&path, &tiny(), &options).unwrap();
    let index = path.join("model.safetensors.index.json");
    let whole = std::fs::read_to_string(&index).unwrap();
    let first = "model-00001-of";
    for (from, to, word) in [
        (first, "../model-00001-of", "not a file beside"),
        ("\"model.norm.weight\"", "\"model.norm.wait\"", "lacks"),
        ("weight_map", "weights", "weight_map"),
    ] {
        std::fs::write(&index, whole.replace(from, to)).unwrap();
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    // An index that names itself.
    let shard = whole
        .split('"')
        .find(|part| part.starts_with(first))
        .unwrap();
    std::fs::write(&index, whole.replace(shard, "model.safetensors.index.json")).unwrap();
    assert!(open(&path).unwrap_err().to_string().contains("neither"));
    std::fs::write(&index, &whole).unwrap();
    let file = path.join(shard);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    assert!(open(&path).unwrap_err().to_string().contains(shard));
}

fn small_torch_file() -> Vec<u8> {
    let tensors = [
        (
            "a".to_owned(),
            (vec![2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        ),
        ("b".to_owned(), (vec![], vec![7.0])),
    ];
    torch_file(&tensors.into())
}

#[test]
fn torch_files_with_tensors_beyond_their_storage_are_refused() {
    let whole = small_torch_file();
    let file = WeightFile::from_bytes(WeightFormat::Torch, &whole).unwrap();
    assert_eq!(file.read("a").unwrap().shape().to_vec(), [2, 3]);
    assert_eq!(
        file.read("b").unwrap().try_into_vec::<f32>().unwrap(),
        [7.0]
    );
    let larger: [(String, _); 1] = [("a".into(), (vec![2, 3_000_000], vec![0.0_f32]))];
    let error =
        WeightFile::from_bytes(WeightFormat::Torch, &torch_file(&larger.into())).unwrap_err();
    assert!(
        error.to_string().contains("more than its storage"),
        "{error}"
    );
    assert!(WeightFile::from_bytes(WeightFormat::Torch, &whole[..whole.len() / 2]).is_err());
    assert!(
        WeightFile::from_bytes(
            WeightFormat::Torch,
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
        )
        .is_err()
    );
}

#[test]
fn safetensors_files_that_lie_are_refused() {
    let file = |header: &str, data: usize| {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.extend(vec![0; data]);
        WeightFile::from_bytes(WeightFormat::Safetensors, &file)
    };
    let good = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    assert!(file(good, 8).is_ok());
    assert!(file(good, 7).is_err());
    assert!(file(&good.replace("[2]", "[4000000000,4000000000]"), 8).is_err());
    assert!(file(&good.replace("F32", "F8_E4M3").replace("0,8", "0,2"), 2).is_err());
    assert!(WeightFile::from_bytes(WeightFormat::Safetensors, &u64::MAX.to_le_bytes()).is_err());
    assert!(WeightFile::from_bytes(WeightFormat::Safetensors, b"PK\x03\x04").is_err());
}

/// Reads everything that a file announces; what is read cannot be larger than the file.
fn read_all(source: &dyn TensorSource, file: &[u8]) {
    for name in source.names() {
        let data = source.read(&name).unwrap();
        assert!(data.as_bytes().len() <= file.len());
    }
}

fn damage(mut file: Vec<u8>, at: usize, bytes: &[u8], cut: Option<usize>) -> Vec<u8> {
    let at = at % file.len();
    let end = (at + bytes.len()).min(file.len());
    file[at..end].copy_from_slice(&bytes[..end - at]);
    file.truncate(cut.map_or(usize::MAX, |cut| cut % 2000));
    file
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_files_never_panic(
        at in any::<usize>(),
        bytes in prop::collection::vec(any::<u8>(), 1..6),
        cut in prop::option::weighted(0.2, any::<usize>()),
    ) {
        let torch = damage(small_torch_file(), at, &bytes, cut);
        if let Ok(file) = WeightFile::from_bytes(WeightFormat::Torch, &torch) {
            read_all(&file, &torch);
        }
        let header = r#"{"a":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}}"#;
        let mut whole = (header.len() as u64).to_le_bytes().to_vec();
        whole.extend(header.as_bytes());
        whole.extend([0; 8]);
        let safetensors = damage(whole, at, &bytes, cut);
        if let Ok(file) = WeightFile::from_bytes(WeightFormat::Safetensors, &safetensors) {
            read_all(&file, &safetensors);
        }
    }
}
