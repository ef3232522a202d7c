//! Runs that are cut short: killed, or without disk.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::mock_server::{ok, serve};
use super::{TEXT, answer, assert_whole, build, journal, said, surprises};

const KILLS: usize = 50;

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
    })
    .unwrap();
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
