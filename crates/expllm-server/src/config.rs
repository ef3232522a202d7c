//! How a server is set up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::ServerError;

/// The settings of a server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address to listen on; anything but loopback needs a token.
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// The bearer token that every request but `GET /health` must carry; `None` for no token.
    pub token: Option<String>,
    /// Longest body in bytes.
    pub max_body: usize,
    /// Photos worked on at a time, at least 1.
    pub workers: usize,
    /// Requests that may wait for a worker; further ones are answered with status 429.
    pub queue: usize,
    /// Longest time that a request may take, body included.
    pub deadline: Duration,
}

impl Default for ServerConfig {
    /// Loopback, port 8787, no token, 16 MiB, two workers, 64 waiting, 30 seconds.
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8787,
            token: None,
            max_body: 16 << 20,
            workers: 2,
            queue: 64,
            deadline: Duration::from_secs(30),
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
    /// [`ServerError::Config`] for an address beyond loopback without a token, an empty token, or
    /// a size of zero.
    pub fn validate(&self) -> Result<(), ServerError> {
        let wrong = |reason: String| Err(ServerError::Config(reason));
        if self.token.as_deref().is_some_and(str::is_empty) {
            return wrong("the token is empty; write one into the token file".to_owned());
        }
        if !self.host.is_loopback() && self.token.is_none() {
            let host = self.host;
            return wrong(format!(
                "{host} can be reached from other machines: give --token-file, or listen on 127.0.0.1"
            ));
        }
        if self.workers == 0 || self.max_body == 0 || self.deadline.is_zero() {
            return wrong("workers, body size and deadline must be above zero".to_owned());
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
        config.token = Some("secret".into());
        assert!(config.validate().is_ok());
        config.token = Some(String::new());
        assert!(config.validate().is_err());
    }
}
