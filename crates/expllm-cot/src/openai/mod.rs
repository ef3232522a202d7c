//! A writer that speaks to any server with the OpenAI chat completion interface: vLLM, the
//! llama.cpp server, mistral.rs, hosted services.

mod answer;
mod pool;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{CotError, Draft, TextWriter, WriteError, WriteRequest};

use answer::{Failure, read_answer};
use pool::{Endpoint, Pool};

/// Path of the interface below a base address.
const COMPLETIONS: &str = "/chat/completions";

/// Settings of [`OpenAiWriter`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenAiConfig {
    /// Base addresses up to and with the version, such as `http://localhost:8080/v1`; they share
    /// the work.
    pub endpoints: Vec<String>,
    /// Name of the model as the server knows it.
    pub model: String,
    /// Environment variable that holds the key (default `OPENAI_API_KEY`; not set is no key).
    pub key_variable: String,
    /// Sampling temperature, 0 to 2 (default 0.7).
    pub temperature: f32,
    /// Most tokens of an answer (default 400).
    pub max_tokens: u32,
    /// JSON object sent as `response_format` (default none).
    pub response_format: Option<Value>,
    /// Whether the answer is asked for in pieces (default no).
    pub stream: bool,
    /// Requests in flight per endpoint (default 64).
    pub concurrency: usize,
    /// Seconds that one request may take (default 120).
    pub timeout_s: f64,
    /// How often a request that failed is sent again (default 8).
    pub retries: u32,
    /// First pause before another try, in milliseconds; it doubles each time (default 250).
    pub backoff_ms: u64,
    /// Longest pause, in milliseconds (default 30 000).
    pub backoff_limit_ms: u64,
    /// Failures in a row after which an endpoint rests (default 5).
    pub breaker_failures: u32,
    /// How long it rests, in milliseconds (default 5 000).
    pub breaker_rest_ms: u64,
}

impl Default for OpenAiConfig {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            model: String::new(),
            key_variable: "OPENAI_API_KEY".into(),
            temperature: 0.7,
            max_tokens: 400,
            response_format: None,
            stream: false,
            concurrency: 64,
            timeout_s: 120.0,
            retries: 8,
            backoff_ms: 250,
            backoff_limit_ms: 30_000,
            breaker_failures: 5,
            breaker_rest_ms: 5_000,
        }
    }
}

/// Writes through one or more servers, with retries, back-off and a circuit breaker each.
///
/// The key is read from the environment once and never printed, logged or kept in provenance.
pub struct OpenAiWriter {
    http: reqwest::Client,
    pool: Pool,
    key: Option<String>,
    config: OpenAiConfig,
}

impl std::fmt::Debug for OpenAiWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the key.
        f.debug_struct("OpenAiWriter")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl OpenAiWriter {
    /// Prepares the connections; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`CotError::Endpoint`] for an address that is none, or none at all.
    pub fn new(config: OpenAiConfig) -> Result<Self, CotError> {
        let wrong = |endpoint: &str, reason: String| CotError::Endpoint {
            endpoint: without_secret(endpoint),
            reason,
        };
        if config.endpoints.is_empty() {
            return Err(wrong(
                "no endpoint",
                "give at least one base address".into(),
            ));
        }
        let mut urls = Vec::new();
        for endpoint in &config.endpoints {
            let begin = || "the address must begin with http:// or https://".to_owned();
            let url = reqwest::Url::parse(endpoint);
            let mut url = url.map_err(|e| wrong(endpoint, format!("{e}; {}", begin())))?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(wrong(endpoint, begin()));
            }
            // A query (some services take the version there) stays behind the path.
            let path = format!("{}{COMPLETIONS}", url.path().trim_end_matches('/'));
            url.set_path(&path);
            urls.push(url);
        }
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs_f64(
                config.timeout_s.clamp(0.1, 86_400.0),
            ))
            .pool_max_idle_per_host(config.concurrency)
            .build()
            .map_err(|e| wrong("http client", e.to_string()))?;
        let key = std::env::var(&config.key_variable)
            .ok()
            .filter(|key| !key.is_empty());
        Ok(Self {
            http,
            pool: Pool::new(urls, &config),
            key,
            config,
        })
    }

    fn body(&self, request: &WriteRequest<'_>) -> Value {
        let config = &self.config;
        let mut body = json!({
            "model": config.model,
            "messages": request.messages,
            "temperature": config.temperature,
            "max_tokens": config.max_tokens,
            // Some servers read 32 bits with a sign.
            "seed": (request.seed ^ (request.seed >> 32)) & 0x7fff_ffff,
            "stream": config.stream,
        });
        if config.stream {
            body["stream_options"] = json!({"include_usage": true});
        }
        if let Some(format) = &config.response_format {
            body["response_format"] = format.clone();
        }
        body
    }

    async fn send(&self, endpoint: &Endpoint, body: &Value) -> Result<Draft, Failure> {
        let mut request = self.http.post(endpoint.url.clone()).json(body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let response = request
            .send()
            .await
            .map_err(|e| Failure::again(describe(&e)))?;
        read_answer(response, self.config.stream).await
    }

    /// What a server said, without the key that some of them repeat.
    fn without_key(&self, reason: String) -> String {
        match &self.key {
            Some(key) => reason.replace(key.as_str(), "(key)"),
            None => reason,
        }
    }

    fn pause(&self, tries: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.config.backoff_ms.saturating_mul(1 << tries.min(20));
        let longest = doubled.min(self.config.backoff_limit_ms).max(1);
        // Full jitter spreads clients that failed together.
        let jittered = Duration::from_millis(rand::random_range(longest / 2..=longest));
        // A server may ask for minutes, not for ever.
        asked.map_or(jittered, |asked| {
            asked.min(Duration::from_secs(600)) + jittered / 8
        })
    }
}

#[async_trait]
impl TextWriter for OpenAiWriter {
    fn name(&self) -> &str {
        "openai"
    }

    async fn write(&self, request: WriteRequest<'_>) -> Result<Draft, WriteError> {
        let body = self.body(&request);
        let mut tries = 0;
        loop {
            let lease = self.pool.lease().await;
            let failure = match self.send(lease.endpoint, &body).await {
                Ok(draft) => {
                    lease.endpoint.succeeded();
                    return Ok(draft);
                }
                Err(failure) => failure,
            };
            let endpoint = lease.endpoint;
            if failure.counts {
                endpoint.failed(&self.config);
            }
            drop(lease);
            let base = without_secret(endpoint.url.as_str());
            let reason = self.without_key(failure.reason);
            if failure.fatal {
                return Err(CotError::Endpoint {
                    endpoint: base,
                    reason,
                }
                .into());
            }
            let last = !failure.again || tries >= self.config.retries;
            if last && failure.counts && !self.pool.has_answered() {
                let tries = tries + 1;
                return Err(CotError::Endpoint {
                    endpoint: base,
                    reason: format!(
                        "{reason} ({tries} tries); no endpoint has answered yet, look at the \
                         address and whether the server runs"
                    ),
                }
                .into());
            }
            if last {
                return Err(WriteError::Record(format!(
                    "{base}: {reason} ({} tries)",
                    tries + 1
                )));
            }
            tokio::time::sleep(self.pause(tries, failure.wait)).await;
            tries += 1;
        }
    }
}

/// The address without user, password and query, any of which may be a secret.
fn without_secret(endpoint: &str) -> String {
    match reqwest::Url::parse(endpoint) {
        Ok(mut url) => {
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.set_query(None);
            url.set_fragment(None);
            url.as_str().trim_end_matches(COMPLETIONS).to_owned()
        }
        Err(_) => {
            let before = endpoint.split(['?', '#']).next().unwrap_or_default();
            before.rsplit('@').next().unwrap_or_default().to_owned()
        }
    }
}

/// The innermost cause of a failed request, without its address.
fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_secrets() {
        for (address, shown) in [
            (
                "http://me:secret@host:1/v1?key=secret#secret",
                "http://host:1/v1",
            ),
            (
                "http://host/v1/chat/completions?key=secret",
                "http://host/v1",
            ),
            ("//me:secret@host/v1?key=secret", "host/v1"),
            ("host/v1#secret", "host/v1"),
        ] {
            assert_eq!(without_secret(address), shown);
        }
    }

    #[test]
    fn the_path_goes_before_a_query() {
        let writer = |endpoint: &str| {
            OpenAiWriter::new(OpenAiConfig {
                endpoints: vec![endpoint.to_owned()],
                ..OpenAiConfig::default()
            })
        };
        let url = |endpoint| {
            writer(endpoint)
                .unwrap()
                .pool
                .urls()
                .next()
                .unwrap()
                .to_string()
        };
        assert_eq!(url("http://host/v1/"), "http://host/v1/chat/completions");
        assert_eq!(
            url("http://host/v1?api-version=2"),
            "http://host/v1/chat/completions?api-version=2"
        );
        for bad in ["localhost:8080/v1", "/v1", "file:///v1"] {
            let error = writer(bad).unwrap_err().to_string();
            assert!(error.contains("http://"), "{error}");
        }
    }
}
