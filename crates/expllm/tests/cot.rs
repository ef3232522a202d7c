//! `expllm cot` as a user runs it: killed, without disk, with bad input and bad servers.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

const KILLS: usize = 50;

/// A text that fits a face whose jaw drops strongly.
const TEXT: &str = "**Key Observations:** The jaw drops strongly, which is a sign of awe.\n\n\
     **Overall Emotional Interpretation:** This points to a sudden event.\n\n\
     **Conclusion:** The label is Surprise.";

fn expllm() -> Command {
    Command::new(env!("CARGO_BIN_EXE_expllm"))
}

fn build(input: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = expllm();
    command.args(["cot", "build", "--annotations"]).arg(input);
    command.arg("--out").arg(out).args(more);
    command
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Faces whose jaw drops strongly, one per line.
fn surprises(path: &Path, count: usize) {
    let mut au = [0.0; 24];
    au[8] = 0.9;
    let mut text = String::new();
    for index in 0..count {
        let name = format!("{index}.jpg");
        writeln!(
            text,
            "{}",
            json!({"file_name": name, "emo": "Surprise", "au": au})
        )
        .unwrap();
    }
    std::fs::write(path, text).unwrap();
}

fn records(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn journal(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".journal");
    PathBuf::from(name)
}

/// Every record once, in order, with its text.
fn assert_whole(out: &Path, count: usize) {
    let records = records(out);
    assert_eq!(records.len(), count);
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record["index"], index);
        assert_eq!(record["file_name"], format!("{index}.jpg"));
        assert_eq!(record["status"], "checked", "{record}");
        assert!(record["description"].as_str().unwrap().contains("Surprise"));
    }
}

/// Kills runs at random moments until [`KILLS`] of them were cut short, then lets one end.
fn survives_kills(input: &Path, out: &Path, more: &[&str], count: usize) {
    // xorshift: the moments differ, the test does not depend on a clock.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let (mut killed, mut grew) = (0, 0);
    let mut before = 0;
    while killed < KILLS {
        let mut run = build(input, out, more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        std::thread::sleep(Duration::from_millis(5 + state % 120));
        match run.try_wait().unwrap() {
            // It came to its end: look at it and begin again.
            Some(status) => {
                assert!(status.success());
                assert_whole(out, count);
                std::fs::remove_file(out).unwrap();
                std::fs::remove_file(journal(out)).unwrap();
                before = 0;
            }
            None => {
                run.kill().unwrap();
                run.wait().unwrap();
                killed += 1;
                let size = std::fs::metadata(out).map_or(0, |m| m.len());
                grew += usize::from(size > before);
                before = size;
            }
        }
    }
    assert!(grew > 3, "only {grew} of {killed} runs wrote anything");
    let last = build(input, out, more).output().unwrap();
    assert!(last.status.success(), "{}", said(&last));
    assert_whole(out, count);
}

#[test]
fn fifty_kills_of_the_composer_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    surprises(&input, 40_000);
    survives_kills(&input, &out, &[], 40_000);
    let again = folder.path().join("again.jsonl");
    assert!(build(&input, &again, &[]).status().unwrap().success());
    let read = |path| std::fs::read(path).unwrap();
    assert!(read(&out) == read(&again), "an uninterrupted run differs");
}

#[test]
fn fifty_kills_with_requests_in_flight_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    surprises(&input, 2_000);
    let endpoint = serve(|| {
        std::thread::sleep(Duration::from_millis(4));
        ok("application/json", &answer(TEXT))
    });
    let more = [
        "--writer",
        "openai",
        "--endpoint",
        &endpoint,
        "--concurrency",
        "8",
    ];
    survives_kills(&input, &out, &more, 2_000);
}

/// A limit on the size of files stands in for a full disk: a write ends half-way with an error.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_healed() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    surprises(&input, 3_000);
    for blocks in ["101", "777"] {
        let limited = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f $0; exec \"$@\"", blocks])
            .arg(env!("CARGO_BIN_EXE_expllm"))
            .args(["cot", "build", "--annotations"])
            .arg(&input)
            .arg("--out")
            .arg(&out)
            .output()
            .unwrap();
        assert_eq!(limited.status.code(), Some(1), "{}", said(&limited));
        assert!(said(&limited).contains("o.jsonl"), "{}", said(&limited));
        let size = std::fs::metadata(&out).unwrap().len();
        assert_eq!(
            size,
            blocks.parse::<u64>().unwrap() * 512,
            "not cut at the limit"
        );
    }
    assert!(build(&input, &out, &[]).status().unwrap().success());
    assert_whole(&out, 3_000);
}

#[test]
fn bad_rows_are_named_with_file_and_line_and_nothing_else_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("images");
    std::fs::create_dir(&root).unwrap();
    for name in ["good.jpg", "late.jpg", "few.jpg", "far.jpg", "mood.jpg"] {
        std::fs::write(root.join(name), b"not looked at: units are given").unwrap();
    }
    let au = vec![0.3; 24];
    let mut lines: Vec<Vec<u8>> = [
        json!({"file_name": "good.jpg", "emo": "Fear", "au": au}),
        json!({"file_name": "gone.jpg", "emo": "Fear", "au": au}),
        json!({"file_name": "mood.jpg", "emo": "Ennui", "au": au}),
        json!({"file_name": "few.jpg", "emo": "Fear", "au": [0.3]}),
        json!({"file_name": "far.jpg", "emo": "Fear", "au": vec![7.0; 24]}),
        json!({"file_name": "good.jpg", "emo": "Fear", "au": au}),
        json!({"file_name": "../secret.jpg", "emo": "Fear", "au": au}),
        json!({"file_name": "/etc/hosts", "emo": "Fear", "au": au}),
    ]
    .iter()
    .map(|row| row.to_string().into_bytes())
    .collect();
    lines.push(b"{\"file_name\": \"\xff.jpg\", \"emo\": \"Fear\"}".to_vec());
    lines.push(
        json!({"file_name": "late.jpg", "emo": "Fear", "au": au})
            .to_string()
            .into_bytes(),
    );
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    std::fs::write(&input, lines.join(&b'\n')).unwrap();
    let output = build(&input, &out, &["--root", root.to_str().unwrap()])
        .output()
        .unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for (line, reason) in [
        (2, "no image \"gone.jpg\""),
        (3, "Ennui"),
        (4, "24 numbers, found 1"),
        (5, "from 0 to 1"),
        (6, "occurs twice"),
        (7, "leaves the image root"),
        (8, "leaves the image root"),
        (9, "not valid JSON"),
    ] {
        let named = format!("in.jsonl: line {line}: ");
        let found = text.lines().find(|l| l.contains(&named));
        assert!(
            found.is_some_and(|l| l.contains(reason)),
            "{named}{reason} in\n{text}"
        );
    }
    let records = records(&out);
    assert_eq!(records.len(), 10);
    let checked = |at: usize| records[at]["status"] == "checked";
    assert!(checked(0) && checked(9));
    let rejected = records.iter().filter(|r| r["status"] == "rejected");
    assert_eq!(rejected.count(), 8);
}

#[cfg(unix)]
#[test]
fn links_out_of_the_image_root_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("images");
    std::fs::create_dir(&root).unwrap();
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    surprises(&input, 1);
    std::os::unix::fs::symlink(&input, root.join("0.jpg")).unwrap();
    let output = build(&input, &out, &["--root", root.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(
        said(&output).contains("leaves the image root"),
        "{}",
        said(&output)
    );
}

#[test]
fn units_that_a_record_lacks_are_read_from_its_image() {
    let photos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos");
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    let row = json!({"file_name": "astronaut.png", "emo": "Happiness"});
    std::fs::write(&input, row.to_string()).unwrap();
    let output = build(&input, &out, &[]).output().unwrap();
    assert!(
        said(&output).contains("line 1: no au values"),
        "{}",
        said(&output)
    );
    std::fs::remove_file(&out).unwrap();
    let output = build(&input, &out, &["--root", photos.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let record = &records(&out)[0];
    assert_eq!(record["au"].as_array().unwrap().len(), 24);
    let text = record["description"].as_str().unwrap();
    assert!(text.contains("corner"), "{text}");
}

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
    assert!(text.contains("mine.txt:2"), "{text}");
}

#[test]
fn servers_that_redirect_or_serve_pages_are_named_and_keys_are_not() {
    let key = "sk-very-secret-key";
    let redirect =
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n";
    for (response, reason) in [
        (redirect.to_owned(), "redirects"),
        (ok("text/html", "<html>hello</html>"), "web page"),
        (ok("application/json", &answer(TEXT)), ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (input, out) = (
            folder.path().join("in.jsonl"),
            folder.path().join("o.jsonl"),
        );
        surprises(&input, 2);
        let endpoint = serve(move || response.clone());
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
fn shards_merge_into_every_format_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    surprises(&at("in.jsonl"), 25);
    assert!(
        build(&at("in.jsonl"), &at("all.jsonl"), &[])
            .status()
            .unwrap()
            .success()
    );
    let shards = ["0/3", "1/3", "2/3"].map(|shard| {
        let out = at(&format!("shard{}.jsonl", &shard[..1]));
        let status = build(&at("in.jsonl"), &out, &["--shard", shard]).status();
        assert!(status.unwrap().success());
        out
    });
    let merge = |inputs: &[PathBuf], out: &Path, more: &[&str]| {
        let mut command = expllm();
        command
            .args(["cot", "merge"])
            .args(inputs)
            .arg("--out")
            .arg(out);
        let output = command.args(more).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    };
    merge(&shards, &at("merged.jsonl"), &[]);
    let read = |name| std::fs::read(at(name)).unwrap();
    assert!(
        read("merged.jsonl") == read("all.jsonl"),
        "merging changed a record"
    );
    let mut from = at("merged.jsonl");
    for (name, more) in [
        ("a.parquet", &[][..]),
        ("b.json", &["--format", "llava"]),
        ("c.json", &["--list", "images"]),
    ] {
        merge(&[from], &at(name), more);
        from = at(name);
    }
    let official: Value = serde_json::from_slice(&std::fs::read(from).unwrap()).unwrap();
    let whole = records(&at("all.jsonl"));
    assert_eq!(official.as_array().unwrap().len(), 25);
    for (record, wanted) in official.as_array().unwrap().iter().zip(whole) {
        for key in ["file_name", "emo", "au", "description"] {
            assert_eq!(record[key], wanted[key], "{key}");
        }
    }
    assert!(at("c_label.json").is_file() && at("c.txt").is_file());
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    surprises(&input, 30);
    assert!(build(&input, &out, &[]).status().unwrap().success());
    let (a, b) = (out.to_str().unwrap(), input.to_str().unwrap());
    for arguments in [
        &["check", a][..],
        &["check", a, "--json"],
        &["compare", a, b],
    ] {
        let mut run = expllm()
            .arg("cot")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(run.stdout.take());
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(said(&output), "");
    }
}

fn answer(text: &str) -> String {
    let message = json!({"role": "assistant", "content": text});
    json!({"model": "mock", "choices": [{"message": message}]}).to_string()
}

fn ok(kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// A server on a free port; its base address.
fn serve(respond: impl Fn() -> String + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let respond = respond.clone();
            // Clients that are killed close their connections half-way.
            std::thread::spawn(move || connection(&stream, respond));
        }
    });
    base
}

fn connection(stream: &TcpStream, respond: impl Fn() -> String) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        writer.write_all(respond().as_bytes()).ok()?;
    }
}
