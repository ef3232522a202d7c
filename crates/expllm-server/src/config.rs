//! How a server is set up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::{ServerError, Token};

/// The settings of a server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address to listen on; anything but loopback needs a token.
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// The bearer token of every request but those for the page's files and `GET /health`; `None`
    /// for no token.
    pub token: Option<Token>,
    /// Longest body in bytes, and longest photo that is fetched.
    pub max_body: usize,
    /// Most pixels of a photo, judged by its header.
    pub max_pixels: u64,
    /// Most bytes of bodies held at a time, at least [`max_body`](Self::max_body); further
    /// requests are answered with status 429.
    pub max_memory: usize,
    /// Connections open at a time, at least 1; others wait to be accepted.
    pub connections: usize,
    /// Workers, at least 1, each of which reads a few photos at a time.
    pub workers: usize,
    /// Photos that a worker reads together where so many wait, at least 1; it waits for none.
    pub batch: usize,
    /// Requests that may wait for a worker; further ones are answered with status 429.
    pub queue: usize,
    /// Longest time that a request may wait for a worker. Requests that would have to wait longer,
    /// by how long work takes at present, are answered with status 429 at once.
    pub max_wait: Duration,
    /// Longest time that a request may take, body included.
    pub deadline: Duration,
    /// Longest time for the headers of a request to arrive, and for a connection to idle.
    pub header_deadline: Duration,
    /// Longest time in which a client takes nothing of its answer before it is cut off.
    pub write_deadline: Duration,
    /// How long the server goes on after it was told to stop, with status 503 at `GET /health`, so
    /// that a balancer sends no more.
    pub drain: Duration,
    /// Hosts that photos may be fetched from: `host` for the usual ports, or `host:port`.
    pub allow_fetch: Vec<String>,
    /// Origins of other pages whose scripts may use this server, such as `https://example.org`.
    pub allow_origin: Vec<String>,
}

impl Default for ServerConfig {
    /// Loopback, port 8787, no token, bodies of 16 MiB and 256 MiB at a time, 50 million pixels,
    /// 512 connections, two workers, 4 photos together, 64 waiting for 1.5 seconds at most, 30 seconds (10 for headers, 10 in which
    /// nothing of an answer is taken), no drain, nothing fetched, no other origin.
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8787,
            token: None,
            max_body: 16 << 20,
            max_pixels: 50_000_000,
            max_memory: 256 << 20,
            connections: 512,
            workers: 2,
            batch: 4,
            queue: 64,
            max_wait: Duration::from_millis(1500),
            deadline: Duration::from_secs(30),
            header_deadline: Duration::from_secs(10),
            write_deadline: Duration::from_secs(10),
            drain: Duration::ZERO,
            allow_fetch: Vec::new(),
            allow_origin: Vec::new(),
        }
    }
}

impl ServerConfig {
    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    /// Checks that the settings are safe and possible.
    ///
    /// # Errors
    ///
    /// [`ServerError::Config`] for an address beyond loopback without a token, a size of zero, less
    /// memory than one body, and names of hosts and origins that are none.
    pub fn validate(&self) -> Result<(), ServerError> {
        let wrong = |reason: String| Err(ServerError::Config(reason));
        let host = self.host;
        if !host.is_loopback() && self.token.is_none() {
            return wrong(format!(
                "{host} can be reached from other machines: give --token-file, or listen on 127.0.0.1"
            ));
        }
        let times = [self.deadline, self.header_deadline];
        let sizes = [self.workers, self.batch, self.max_body, self.connections];
        if sizes.contains(&0) || self.max_pixels == 0 || times.contains(&Duration::ZERO) {
            let all =
                "workers, batch, body size, pixels, connections and deadlines must be above zero";
            return wrong(all.to_owned());
        }
        if self.max_memory < self.max_body {
            return wrong("--max-memory must hold one body (--max-body) at least".to_owned());
        }
        self.validate_names()
    }

    fn validate_names(&self) -> Result<(), ServerError> {
        let no_host = |host: &&String| host.is_empty() || host.contains(['/', '@', '*', ' ']);
        if let Some(host) = self.allow_fetch.iter().find(no_host) {
            let reason = format!("{host:?} is no host; write example.org or example.org:8080");
            return Err(ServerError::Config(reason));
        }
        let no_origin = |origin: &&String| {
            let host = origin.split_once("://").map_or("", |(_, host)| host);
            host.is_empty() || host.contains(['/', '*', ' '])
        };
        if let Some(origin) = self.allow_origin.iter().find(no_origin) {
            let reason = format!("{origin:?} is no origin; write https://example.org");
            return Err(ServerError::Config(reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_need_a_token() {
        let mut config = ServerConfig::default();
        assert!(config.validate().is_ok());
        config.host = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let refused = config.validate().unwrap_err().to_string();
        assert!(refused.contains("--token-file"), "{refused}");
        config.token = Some(Token::new("secret").unwrap());
        assert!(config.validate().is_ok());
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let refused = |change: fn(&mut ServerConfig)| {
            let mut config = ServerConfig::default();
            change(&mut config);
            config.validate().is_err()
        };
        assert!(refused(|config| config.workers = 0));
        assert!(refused(|config| config.batch = 0));
        assert!(refused(|config| config.max_memory = config.max_body - 1));
        for host in ["", "http://example.org", "*.example.org", "a@b"] {
            let allow_fetch = vec![host.to_owned()];
            let config = ServerConfig {
                allow_fetch,
                ..ServerConfig::default()
            };
            assert!(config.validate().is_err(), "{host}");
        }
        for origin in ["*", "example.org", "https://example.org/", "https://"] {
            let allow_origin = vec![origin.to_owned()];
            let config = ServerConfig {
                allow_origin,
                ..ServerConfig::default()
            };
            assert!(config.validate().is_err(), "{origin}");
        }
    }
}
