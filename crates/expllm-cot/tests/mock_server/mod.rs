//! A small HTTP server for tests and benches that need one outside an asynchronous runtime: it
//! keeps connections open and answers every request alike.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// An answer of status 200 with its head.
pub fn ok(kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// Serves on a free port in the background; returns the base address.
pub fn serve(respond: impl Fn() -> String + Clone + Send + 'static) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let base = format!("http://{}/v1", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let respond = respond.clone();
            // Clients that are killed close their connections half-way.
            std::thread::spawn(move || connection(&stream, respond));
        }
    });
    Ok(base)
}

/// Answers the requests of one connection until it is closed.
fn connection(stream: &TcpStream, respond: impl Fn() -> String) -> Option<()> {
    stream.set_nodelay(true).ok()?;
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
