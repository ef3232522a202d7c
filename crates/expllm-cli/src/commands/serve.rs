//! `expllm serve`: the page, JSON and chat completions over HTTP.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use expllm::explaining::{ExplainerOptions, ModelSource};
use expllm_core::Explainer;
use expllm_cot::Composer;
use expllm_server::{App, Parts, ServerConfig, Token, serve};

use super::stages::Draws;
use crate::{CliError, Outcome};

/// Arguments of `expllm serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen on; an address that other machines can reach requires --token-file.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port to listen on; 0 picks a free one.
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Checkpoint folder of the model that writes the chains (docs/checkpoints.md) [default: chains
    /// are composed from the action units].
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Candidates that --model draws in place of a sentence that the action units contradict, before
    /// it is shown marked: 0 to 32, or off to verify nothing [default: 4].
    #[arg(long, value_name = "N|off", requires = "model")]
    draws: Option<Draws>,
    /// File with the bearer token that requests must send.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Host that photos may be fetched from, such as photos.example.org or localhost:9000; may be
    /// given several times.
    #[arg(long, value_name = "HOST")]
    allow_fetch: Vec<String>,
    /// Origin of another page whose scripts may use the server, such as `https://example.org`; may be
    /// given several times.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// File to which a line of JSON is added for every request, or `off` [default: standard error].
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    #[command(flatten)]
    limits: Limits,
}

/// What the server takes at most.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
struct Limits {
    /// Maximum size of a request body, such as 16MiB or 500KB.
    #[arg(long, default_value = "16MiB", value_parser = bytes)]
    max_body: usize,
    /// Maximum size of all request bodies held at the same time.
    #[arg(long, default_value = "256MiB", value_parser = bytes)]
    max_memory: usize,
    /// Maximum number of pixels of a photo.
    #[arg(long, default_value_t = 50_000_000)]
    max_pixels: u64,
    /// Maximum number of open connections; further ones wait.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Workers at the same time [default: one per processor core].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Maximum number of waiting photos that a worker reads together.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    batch: u16,
    /// Maximum number of waiting requests; further ones get status 429.
    #[arg(long, default_value_t = 64)]
    queue: u16,
    /// Maximum time in seconds that a request waits; further requests get status 429.
    #[arg(long, default_value = "1.5", value_name = "SECONDS", value_parser = wait)]
    max_wait: Duration,
    /// Timeout of a request in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3600))]
    deadline: u16,
    /// Seconds to go on after the signal to stop, with status 503 at /health.
    #[arg(long, default_value_t = 0)]
    drain: u16,
}

/// Answers requests until the program is interrupted or told to end.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let config = config(args)?;
    config
        .validate()
        .map_err(|e| CliError::Usage(e.to_string()))?;
    let parts = Parts {
        explainer: explainer(args.model.as_deref(), args.draws.unwrap_or_default())?,
        access_log: access_log(args.access_log.as_deref())?,
    };
    let app = App::with_parts(config, parts).map_err(CliError::library)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::library)?;
    let mut told = Ok(());
    let served = serve(app, stopped(), |address| {
        told = crate::stdout::line(format_args!("listening on http://{address}"));
    });
    runtime.block_on(served).map_err(CliError::library)?;
    told?;
    Ok(Outcome::Complete)
}

fn config(args: &Args) -> Result<ServerConfig, CliError> {
    let limits = &args.limits;
    let seconds = |number| Duration::from_secs(u64::from(number));
    Ok(ServerConfig {
        host: args.host,
        port: args.port,
        token: args.token_file.as_deref().map(token).transpose()?,
        max_body: limits.max_body,
        max_pixels: limits.max_pixels,
        max_memory: limits.max_memory,
        connections: usize::from(limits.connections),
        workers: limits
            .workers
            .map_or_else(rayon::current_num_threads, usize::from),
        batch: usize::from(limits.batch),
        queue: usize::from(limits.queue),
        max_wait: limits.max_wait,
        deadline: seconds(limits.deadline),
        drain: seconds(limits.drain),
        allow_fetch: args.allow_fetch.clone(),
        allow_origin: args.allow_origin.clone(),
        ..ServerConfig::default()
    })
}

/// What writes the chains.
fn explainer(model: Option<&Path>, draws: Draws) -> Result<Box<dyn Explainer>, CliError> {
    let Some(folder) = model else {
        return Ok(Box::new(Composer));
    };
    let source = ModelSource::Folder(folder.to_owned());
    let options = ExplainerOptions {
        draws: draws.0,
        ..ExplainerOptions::default()
    };
    let model = source.load(&options);
    Ok(Box::new(model.map_err(CliError::library)?))
}

fn access_log(file: Option<&Path>) -> Result<Option<Box<dyn Write + Send>>, CliError> {
    match file {
        None => Ok(Some(Box::new(std::io::stderr()))),
        Some(file) if file == Path::new("off") => Ok(None),
        Some(file) => {
            let log = OpenOptions::new().create(true).append(true).open(file);
            Ok(Some(Box::new(log.map_err(|e| CliError::file(file, e))?)))
        }
    }
}

/// Waits for an interrupt, or for the signal by which service managers end programs.
async fn stopped() {
    // A system without signals is stopped by ending the program.
    let interrupt = async { drop(tokio::signal::ctrl_c().await) };
    #[cfg(unix)]
    if let Ok(mut end) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            () = interrupt => {}
            _ = end.recv() => {}
        }
        return;
    }
    interrupt.await;
}

fn token(file: &Path) -> Result<Token, CliError> {
    let text = std::fs::read_to_string(file).map_err(|e| CliError::file(file, e))?;
    Token::new(&text).map_err(|e| CliError::Usage(format!("{}: {e}", file.display())))
}

/// A time in seconds, with or without a fraction.
fn wait(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .filter(|s| (0.0..=3600.0).contains(s));
    let seconds = seconds.ok_or("write seconds from 0 to 3600, such as 1.5")?;
    Ok(Duration::from_secs_f64(seconds))
}

/// A size in bytes, with or without a unit.
fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..].to_ascii_lowercase()[..] {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "kib" => 1 << 10,
        "m" | "mb" => 1_000_000,
        "mib" => 1 << 20,
        "g" | "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        other => return Err(format!("unknown unit {other:?}; write 16MiB, say")),
    };
    let number: usize = digits
        .trim()
        .parse()
        .map_err(|_| "write a size such as 16MiB")?;
    number
        .checked_mul(unit)
        .ok_or_else(|| "too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_seconds() {
        assert_eq!(wait("1.5"), Ok(Duration::from_millis(1500)));
        assert!(wait("-1").is_err() && wait("soon").is_err() && wait("1e99").is_err());
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(bytes("16MiB"), Ok(16 << 20));
        assert_eq!(bytes("500KB"), Ok(500_000));
        assert_eq!(bytes("7"), Ok(7));
        assert!(bytes("12 parsecs").is_err() && bytes("MiB").is_err());
        assert!(bytes("99999999999999GiB").is_err());
    }
}
