//! `expllm serve`: the page, JSON and chat completions over HTTP.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use expllm_server::{App, ServerConfig, serve};

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
    /// File with the bearer token that requests must send.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Maximum size of a request body, such as 16MiB or 500KB.
    #[arg(long, default_value = "16MiB", value_parser = bytes)]
    max_body: usize,
    /// Photos processed at the same time [default: one per processor core].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Maximum number of waiting requests; further ones get status 429.
    #[arg(long, default_value_t = 64)]
    queue: u16,
    /// Timeout of a request in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3600))]
    deadline: u16,
}

/// Answers requests until the program is interrupted.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let config = ServerConfig {
        host: args.host,
        port: args.port,
        token: args.token_file.as_deref().map(token).transpose()?,
        max_body: args.max_body,
        workers: args
            .workers
            .map_or_else(rayon::current_num_threads, usize::from),
        queue: usize::from(args.queue),
        deadline: Duration::from_secs(u64::from(args.deadline)),
    };
    config
        .validate()
        .map_err(|e| CliError::Usage(e.to_string()))?;
    let app = App::new(config).map_err(CliError::library)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::library)?;
    let stop = async {
        // A system without signals is stopped by ending the program.
        let _ = tokio::signal::ctrl_c().await;
    };
    let mut told = Ok(());
    let served = serve(app, stop, |address| {
        told = crate::stdout::line(format_args!("listening on http://{address}"));
    });
    runtime.block_on(served).map_err(CliError::library)?;
    told?;
    Ok(Outcome::Complete)
}

fn token(file: &Path) -> Result<String, CliError> {
    let text = std::fs::read_to_string(file).map_err(|e| CliError::file(file, e))?;
    Ok(text.trim().to_owned())
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
    fn sizes_are_read_with_their_units() {
        assert_eq!(bytes("16MiB"), Ok(16 << 20));
        assert_eq!(bytes("500KB"), Ok(500_000));
        assert_eq!(bytes("7"), Ok(7));
        assert!(bytes("12 parsecs").is_err() && bytes("MiB").is_err());
        assert!(bytes("99999999999999GiB").is_err());
    }
}
