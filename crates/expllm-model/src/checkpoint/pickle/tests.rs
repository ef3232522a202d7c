use super::*;

#[test]
fn foreign_calls_are_refused_by_name() {
    let bomb = b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.";
    let fault = parse(bomb).unwrap_err();
    assert!(fault.contains("os.system"), "{fault}");
}

#[test]
fn dictionaries_and_numbers_are_read() {
    let file = b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x05X\x01\x00\x00\x00bJ\xff\xff\xff\xffu.";
    let Value::Dict(items) = parse(file).unwrap() else {
        panic!("no dictionary");
    };
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(
        items.values,
        [text("a"), Value::Int(5), text("b"), Value::Int(-1)]
    );
    assert_eq!(parse(b"\x8a\x02\x00\xff.").unwrap(), Value::Int(-256));
}

#[test]
fn hostile_nesting_is_refused() {
    let mut deep = vec![b')'];
    deep.extend([0x85; 1_000_000]);
    deep.push(b'.');
    assert!(parse(&deep).unwrap_err().contains("inside each other"));
    // Two copies of the value before, many times: shared, not copied.
    let mut wide = vec![b')', b'q', 0];
    for _ in 0..28 {
        wide.extend(*b"h\x00h\x00\x86q\x00");
    }
    wide.push(b'.');
    assert!(parse(&wide).is_ok());
    assert!(parse(b"\x80\x02}q\x00").is_err());
}
