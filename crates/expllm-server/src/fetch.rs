//! Photos from hosts that the server's owner has named.

use std::time::Duration;

use axum::http::StatusCode;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use crate::error::Refusal;
use crate::{ServerConfig, ServerError};

/// Longest time until another host takes a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Fetches photos from named hosts; from nowhere when none is named.
#[derive(Debug)]
pub(crate) struct Fetcher {
    client: Option<Client>,
    hosts: Vec<String>,
    limit: usize,
}

impl Fetcher {
    pub fn new(config: &ServerConfig) -> Result<Self, ServerError> {
        let client = || {
            // A redirect would lead from a named host to any other.
            let builder = Client::builder().redirect(Policy::none());
            builder
                .connect_timeout(CONNECT_WITHIN)
                .timeout(config.deadline)
                .build()
        };
        let some = !config.allow_fetch.is_empty();
        Ok(Self {
            client: some.then(client).transpose()?,
            hosts: config.allow_fetch.clone(),
            limit: config.max_body,
        })
    }

    /// The bytes behind an address, when its host is named.
    pub async fn fetch(&self, address: &str) -> Result<Vec<u8>, Refusal> {
        let unnamed = || {
            let reason = "the image must be a data: URI; this server fetches from no other host, \
                          or from those that --allow-fetch names alone";
            Refusal::bad(reason)
        };
        let client = self.client.as_ref().ok_or_else(unnamed)?;
        let url = self.allowed(address).ok_or_else(unnamed)?;
        let failed = |reason: String| {
            Refusal::new(
                StatusCode::BAD_GATEWAY,
                format!("the image was not fetched: {reason}"),
            )
        };
        let answer = client.get(url).send().await;
        let mut answer = answer.map_err(|e| failed(e.without_url().to_string()))?;
        if answer.status() != StatusCode::OK {
            return Err(failed(format!("its host answers {}", answer.status())));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|e| failed(e.without_url().to_string()))?
        {
            if bytes.len() + chunk.len() > self.limit {
                return Err(Refusal::too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// The address, when it is of the web and of a named host.
    fn allowed(&self, address: &str) -> Option<Url> {
        let url = Url::parse(address).ok()?;
        let plain = url.username().is_empty() && url.password().is_none();
        if !plain || !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let host = url.host_str()?;
        let place = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        self.hosts
            .iter()
            .any(|named| named.eq_ignore_ascii_case(&place))
            .then_some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_hosts_are_asked() {
        let allow_fetch = ["photos.example", "127.0.0.1:8080"]
            .map(str::to_owned)
            .to_vec();
        let config = ServerConfig {
            allow_fetch,
            ..ServerConfig::default()
        };
        let fetcher = Fetcher::new(&config).unwrap();
        for fine in [
            "https://photos.example/a.png",
            "http://PHOTOS.example/a",
            "http://127.0.0.1:8080/",
        ] {
            assert!(fetcher.allowed(fine).is_some(), "{fine}");
        }
        for wrong in [
            "https://photos.example:8443/a.png",
            "https://photos.example.evil.example/",
            "https://photos.example@evil.example/",
            "https://evil@photos.example/",
            "http://127.0.0.1/",
            "http://127.0.0.1:22/",
            "http://169.254.169.254/latest/meta-data",
            "http://[::1]:8080/",
            "file:///etc/passwd",
            "ftp://photos.example/a.png",
            "photos.example/a.png",
        ] {
            assert!(fetcher.allowed(wrong).is_none(), "{wrong}");
        }
    }
}
