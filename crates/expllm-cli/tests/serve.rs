//! `expllm serve` with the model that ships, as a checkpoint folder.

#![allow(clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server that is ended when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The server with the arguments, and where it listens.
fn started(arguments: &[&str]) -> (Running, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_expllm"));
    command.args(["serve", "--port", "0", "--access-log", "off"]);
    let child = command.args(arguments).stdout(Stdio::piped()).spawn();
    let mut running = Running(child.unwrap());
    let mut line = String::new();
    let output = running.0.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://");
    (running, address.unwrap().to_owned())
}

/// Sends a photo in a form; the whole answer.
fn answer(address: &str, accept: &str, photo: &[u8]) -> String {
    let start = "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n";
    let body = [start.as_bytes(), photo, b"\r\n--x--\r\n"].concat();
    let head = format!(
        "POST /api/analyze HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: {accept}\r\n\
         Content-Length: {}\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(&[head.as_bytes(), &body].concat())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn chains_are_written_by_the_model_of_a_folder() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = here.join("../expllm-model/weights/tiny");
    let photo = fs::read(here.join("../../examples/photos/astronaut.png")).unwrap();
    let (_composed, composing) = started(&[]);
    let (_written, writing) = started(&["--model", model.to_str().unwrap()]);
    let [composed, written] = [&composing, &writing].map(|at| answer(at, "*/*", &photo));
    for text in [&composed, &written] {
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(text.contains("\"supported\""), "{text}");
    }
    assert_ne!(composed, written);
    let streamed = answer(&writing, "text/event-stream", &photo);
    // One for each sentence, which is verified before it is sent.
    let words = streamed.matches("event: words").count();
    assert!(words > 3 && streamed.contains("event: done"), "{streamed}");
}

#[test]
fn a_folder_without_a_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_expllm"))
        .args(["serve", "--port", "0", "--model"])
        .arg(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && errors.contains("config.json"),
        "{errors}"
    );
}
