//! Prompts and servers.

use serde_json::json;

use super::mock_server::{ok, serve};
use super::{TEXT, answer, astronaut, build, journal, records, said, surprises};

#[test]
fn templates_name_file_line_and_variable() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    surprises(&input, 1);
    let template = folder.path().join("mine.txt");
    std::fs::write(&template, "one\ntwo {{ lable }}").unwrap();
    let more = ["--writer", "openai", "--endpoint", "http://localhost:9/v1"];
    let output = build(&input, &out, &more)
        .arg("--prompt-template")
        .arg(&template)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = said(&output);
    assert!(
        text.contains("mine.txt:2") && text.contains("lable"),
        "{text}"
    );
}

#[test]
fn servers_that_redirect_or_serve_pages_are_named_and_keys_are_not() {
    let key = "sk-very-secret-key";
    let redirect =
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n";
    // Some servers repeat the key.
    let said_back = json!({"error": {"message": format!("no such key: {key}")}}).to_string();
    let refusal = ok("application/json", &said_back).replace("200 OK", "401 Unauthorized");
    for (response, reason) in [
        (redirect.to_owned(), "redirects"),
        (ok("text/html", "<html>hello</html>"), "web page"),
        (refusal, "401 Unauthorized no such key: (key)"),
        (ok("application/json", &answer(TEXT)), ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (input, out) = (
            folder.path().join("in.jsonl"),
            folder.path().join("o.jsonl"),
        );
        surprises(&input, 2);
        let endpoint = serve(move || response.clone()).unwrap();
        let with_key = endpoint.replace("http://", &format!("http://user:{key}@"));
        let output = build(
            &input,
            &out,
            &["--writer", "openai", "--endpoint", &with_key],
        )
        .args(["--key-variable", "EXPLLM_TEST_KEY", "--retries", "0"])
        .env("EXPLLM_TEST_KEY", key)
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
        let text = said(&output);
        assert_eq!(output.status.success(), reason.is_empty(), "{text}");
        assert!(text.contains(reason), "{text}");
        if !reason.is_empty() {
            let address = endpoint.trim_start_matches("http://");
            assert!(text.contains(address), "{text}");
        }
        let files = [&out, &journal(&out)].map(|p| std::fs::read_to_string(p).unwrap());
        for text in files.iter().chain([&text]) {
            assert!(!text.contains(key), "{text}");
        }
    }
}

#[test]
fn the_guide_is_held_against_texts_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.jsonl");
    surprises(&input, 1);
    let glued = TEXT.replace("This points", "Moreover, this points");
    let body = ok("application/json", &answer(&glued));
    let endpoint = serve(move || body.clone()).unwrap();
    let server = ["--writer", "openai", "--endpoint", endpoint.as_str()];
    let built = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        build(&input, &out, &server)
            .args(["--repairs", "1", "--on-failure", "set-aside"])
            .args(more)
            .output()
            .unwrap();
        records(&out).remove(0)
    };
    let record = built("plain.jsonl", &[]);
    assert_eq!(record["status"], "checked", "{record}");
    let record = built("guided.jsonl", &["--guide"]);
    assert_eq!(record["status"], "set_aside", "{record}");
    assert_eq!(record["findings"][0]["check"], "glue", "{record}");
    assert_eq!(record["attempts"], 2, "{record}");
}

#[test]
fn a_dry_run_prints_prompts_and_an_estimate_and_sends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    surprises(&input, 10);
    let mut text = std::fs::read_to_string(&input).unwrap();
    text.push_str("{\"file_name\": \"x.jpg\", \"emo\": \"Ennui\"}\n");
    std::fs::write(&input, text).unwrap();
    let dry = |more: &[&str]| {
        let output = build(&input, &out, &["--dry-run"])
            .args(more)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(!out.exists());
        said(&output)
    };
    // Nothing listens there.
    let server = ["--writer", "openai", "--endpoint", "http://127.0.0.1:9/v1"];
    let prices = ["--price-in", "1000", "--price-out", "2000"];
    let text = dry(&[&server[..], &prices].concat());
    assert_eq!(text.matches("- jaw drop: strong").count(), 3, "{text}");
    assert!(
        text.contains("in.jsonl: line 11: unknown expression"),
        "{text}"
    );
    let last = text
        .lines()
        .find(|line| line.contains("10 records, 1 bad rows"));
    let numbers: Vec<f64> = last
        .unwrap()
        .split([' ', ','])
        .filter_map(|word| word.parse().ok())
        .collect();
    let [_, _, asked, answered, cost] = numbers[..] else {
        panic!("{text}");
    };
    assert!(
        asked > 1000.0 && (answered - 10.0 * 130.0 * 1.35).abs() < 1.0,
        "{text}"
    );
    assert!(
        (cost - (asked + 2.0 * answered) / 1000.0).abs() < 0.01,
        "{text}"
    );
    assert!(!dry(&server).contains("cost"), "without prices");
    assert!(dry(&[]).contains("this writer sends no prompts"));
}

#[test]
fn a_dry_run_reads_the_images_that_its_prompts_are_about() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    std::fs::copy(astronaut(), folder.path().join("a.png")).unwrap();
    std::fs::write(&input, "{\"file_name\": \"a.png\", \"emo\": \"Happiness\"}").unwrap();
    let server = ["--writer", "openai", "--endpoint", "http://127.0.0.1:9/v1"];
    let dry = |more: &[&str]| {
        let mut command = build(&input, &out, &server);
        said(&command.arg("--dry-run").args(more).output().unwrap())
    };
    let text = dry(&["--root", folder.path().to_str().unwrap()]);
    assert!(text.contains("- lip corner pull: "), "{text}");
    assert!(dry(&[]).contains("no au values; give --root"));
}
