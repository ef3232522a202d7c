//! The server under load, and what it does with clients that go away or mean no good:
//! `cargo run --release -p expllm-benches --bin server -- target/release/expllm PHOTO [SECONDS] [REQUESTS] [OPTIONS]`.
//!
//! Starts `expllm serve` with OPTIONS on a free port. 64 clients ask `/api/au` for SECONDS (60); REQUESTS (20,000)
//! more show whether memory stays flat; others go away in the middle of their request; the last ones
//! send what no server should take. Linux only: memory is `VmRSS` of `/proc`.

#![allow(clippy::print_stdout)] // It reports to the person who started it.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

/// Clients at the same time.
const CLIENTS: usize = 64;
/// Clients that go away, one after the other.
const GONE: usize = 40;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().ok_or("name the program, then a photo")?;
    let photo = std::fs::read(arguments.next().ok_or("name a photo")?)?;
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let (seconds, requests) = (number(60)?, number(20_000)?);
    let options: Vec<_> = arguments.collect();
    let server = Running::start(program.into(), &options)?;
    let request = form("/api/au", &photo);
    load(&server, &request, Duration::from_secs(seconds as u64))?;
    memory(&server, &request, requests)?;
    gone(&server, &request)?;
    hostile(&server)?;
    Ok(())
}

/// A server of its own, ended when this is dropped.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(program: PathBuf, options: &[String]) -> Result<Self, Failure> {
        let mut child = Command::new(program)
            .args(["serve", "--port", "0", "--access-log", "off"])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.ok_or("the server does not listen")?.to_owned();
        Ok(Self { child, address })
    }

    /// Memory in use, in megabytes.
    fn megabytes(&self) -> Result<f64, Failure> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: f64 = line
            .ok_or("no VmRSS")?
            .trim()
            .trim_end_matches(" kB")
            .parse()?;
        Ok(kilobytes / 1e3)
    }

    fn connect(&self) -> Result<TcpStream, Failure> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(stream)
    }

    /// One of the numbers of `/metrics`.
    fn metric(&self, name: &str) -> Result<f64, Failure> {
        let mut stream = self.connect()?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.ok_or("the number is not there")?.trim().parse()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request with a photo in a form.
fn form(path: &str, photo: &[u8]) -> Vec<u8> {
    let start = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    let end = "\r\n--x--\r\n";
    let length = start.len() + photo.len() + end.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\
         Content-Type: multipart/form-data; boundary=x\r\n\r\n{start}"
    );
    [head.as_bytes(), photo, end.as_bytes()].concat()
}

/// Sends a request and reads its answer to the end; gives the status, and the seconds after which
/// to try again.
fn ask(stream: &mut BufReader<TcpStream>, request: &[u8]) -> Result<(u16, u64), Failure> {
    stream.get_mut().write_all(request)?;
    let (mut status, mut length, mut again) = (0, 0, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err("the server has closed the connection".into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest.get(..3).unwrap_or_default().parse()?;
        } else if let Some(rest) = line.strip_prefix("content-length:") {
            length = rest.trim().parse()?;
        } else if let Some(rest) = line.strip_prefix("retry-after:") {
            again = rest.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((status, again))
}

/// What became of the requests of many clients.
#[derive(Default)]
struct Asked {
    /// Seconds of each answer.
    times: Vec<f64>,
    /// Requests that were told to come again, and did.
    put_off: usize,
    lost: usize,
}

impl Asked {
    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.put_off += other.put_off;
        self.lost += other.lost;
    }
}

/// Asks again and again from many clients while `more` says so; who is put off waits as told.
fn from_clients(
    server: &Running,
    request: &[u8],
    clients: usize,
    more: &(dyn Fn() -> bool + Sync),
) -> Result<Asked, Failure> {
    let one = || -> Result<Asked, Failure> {
        let mut stream = BufReader::new(server.connect()?);
        let mut asked = Asked::default();
        while more() {
            let start = Instant::now();
            match ask(&mut stream, request) {
                Ok((200, _)) => asked.times.push(start.elapsed().as_secs_f64()),
                Ok((429, again)) => {
                    asked.put_off += 1;
                    sleep(Duration::from_secs(again));
                }
                Ok(_) => asked.lost += 1,
                Err(_) => {
                    asked.lost += 1;
                    stream = BufReader::new(server.connect()?);
                }
            }
        }
        Ok(asked)
    };
    scope(|scope| -> Result<Asked, Failure> {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(one)).collect();
        let mut all = Asked::default();
        for thread in threads {
            all.add(thread.join().map_err(|_| "a client broke")??);
        }
        Ok(all)
    })
}

fn load(server: &Running, request: &[u8], time: Duration) -> Result<(), Failure> {
    let start = Instant::now();
    let more = || start.elapsed() < time;
    let mut asked = from_clients(server, request, CLIENTS, &more)?;
    let per_second = asked.times.len() as f64 / start.elapsed().as_secs_f64();
    let batches = server.metric("expllm_batches_total")?;
    let together = server.metric("expllm_photos_total")? / batches;
    println!(
        "{CLIENTS} clients, {} s: {} answers, {} put off, {} lost, {per_second:.1}/s, \
         {together:.1} photos a batch, {}",
        time.as_secs(),
        asked.times.len(),
        asked.put_off,
        asked.lost,
        quantiles(&mut asked.times),
    );
    Ok(())
}

fn quantiles(times: &mut [f64]) -> String {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (share * times.len() as f64) as usize;
        times
            .get(index.min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or(f64::NAN)
    };
    format!(
        "p50 {:.3} s, p99 {:.3} s, longest {:.3} s",
        at(0.5),
        at(0.99),
        at(1.0)
    )
}

fn memory(server: &Running, request: &[u8], requests: usize) -> Result<(), Failure> {
    for until in [requests / 10, requests] {
        let asked = server.metric("expllm_photos_total")? as usize;
        let left = AtomicUsize::new(until.saturating_sub(asked));
        let take = |left: usize| left.checked_sub(1);
        let more = || {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
        };
        let lost = from_clients(server, request, 8, &more)?.lost;
        let asked = server.metric("expllm_photos_total")?;
        println!(
            "after {asked} photos: {:.1} MB, {lost} lost",
            server.megabytes()?
        );
    }
    Ok(())
}

/// Clients that go away while their photo is worked on: how long until the worker is free.
fn gone(server: &Running, request: &[u8]) -> Result<(), Failure> {
    let (mut times, mut early) = (Vec::new(), 0);
    while times.len() < GONE {
        let mut stream = server.connect()?;
        stream.write_all(request)?;
        let asked = Instant::now();
        while server.metric("expllm_requests_working")? == 0.0 && asked.elapsed().as_secs() < 2 {}
        drop(stream);
        let start = Instant::now();
        if server.metric("expllm_requests_working")? == 0.0 {
            // The answer was there before the client left.
            early += 1;
            if early > 20 * GONE {
                return Err(
                    "every answer comes before its client can leave; take a larger photo".into(),
                );
            }
            continue;
        }
        while server.metric("expllm_requests_working")? > 0.0 {
            sleep(Duration::from_millis(1));
        }
        times.push(start.elapsed().as_secs_f64());
    }
    let counted = server.metric("expllm_clients_gone_total")?;
    println!(
        "worker free after its client went away: {} ({counted} gone)",
        quantiles(&mut times)
    );
    Ok(())
}

fn hostile(server: &Running) -> Result<(), Failure> {
    let head = |more: &str| format!("POST /api/au HTTP/1.1\r\nHost: localhost\r\n{more}\r\n");
    let json = "Content-Type: application/json\r\n";
    let with = |body: &str| {
        let length = body.len();
        format!(
            "{}{body}",
            head(&format!("{json}Content-Length: {length}\r\n"))
        )
    };
    let attempts = [
        (
            "a body of 1 GB",
            head(&format!("{json}Content-Length: 1073741824\r\n")),
        ),
        ("100,000 nested lists", with(&"[".repeat(100_000))),
        (
            "another content type",
            head("Content-Type: text/plain\r\nContent-Length: 0\r\n"),
        ),
        (
            "a compressed body",
            head(&format!(
                "{json}Content-Encoding: gzip\r\nContent-Length: 0\r\n"
            )),
        ),
        (
            "a header of 1 MB",
            head(&format!("X: {}\r\n", "x".repeat(1 << 20))),
        ),
        (
            "an address of this machine",
            with("{\"image\": \"http://127.0.0.1:22/\"}"),
        ),
        (
            "a file of this machine",
            with("{\"image\": \"file:///etc/passwd\"}"),
        ),
        (
            "a page of another origin",
            head("Origin: https://evil.example\r\n"),
        ),
        (
            "a path that leads out",
            "GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        ),
        (
            "a name that was turned",
            "GET /api/units HTTP/1.1\r\nHost: evil.example\r\n\r\n".into(),
        ),
        (
            "headers that never end",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX: ".into(),
        ),
    ];
    for (what, request) in attempts {
        let start = Instant::now();
        let mut stream = server.connect()?;
        // The server may close before it has read everything.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = [0; 12];
        let told = match stream.read_exact(&mut answer) {
            Ok(()) => String::from_utf8_lossy(&answer[9..]).into_owned(),
            Err(_) => "closed".to_owned(),
        };
        println!(
            "{what}: {told} after {:.2} s",
            start.elapsed().as_secs_f64()
        );
    }
    let alive = server.metric("expllm_requests_working")?;
    println!("alive, {alive} at work, {:.1} MB", server.megabytes()?);
    Ok(())
}
