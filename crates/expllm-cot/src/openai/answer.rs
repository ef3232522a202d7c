//! What servers answer, whole or in pieces.

use std::time::{Duration, SystemTime};

use reqwest::{Response, StatusCode, header};
use serde_json::Value;

use crate::{Draft, Usage};

/// More than this is no answer of a few hundred words.
const MAX_ANSWER: usize = 1 << 20;

/// Why there is no answer, and what follows from it.
#[derive(Debug, Default)]
pub(super) struct Failure {
    pub reason: String,
    /// Whether another try may help.
    pub again: bool,
    /// Whether no other record can do better.
    pub fatal: bool,
    /// Whether it speaks against the endpoint (for the circuit breaker).
    pub counts: bool,
    /// How long the server asked to wait.
    pub wait: Option<Duration>,
}

impl Failure {
    pub(super) fn again(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            again: true,
            counts: true,
            ..Self::default()
        }
    }

    fn fatal(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            fatal: true,
            ..Self::default()
        }
    }
}

/// Reads the answer of a chat completion.
pub(super) async fn read_answer(response: Response, stream: bool) -> Result<Draft, Failure> {
    let status = response.status();
    if status.is_redirection() {
        return Err(Failure::fatal(format!(
            "redirects ({status}); give the final address, keys are not sent elsewhere"
        )));
    }
    let kind = response.headers().get(header::CONTENT_TYPE);
    let kind = kind
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let wait = retry_after(&response);
    let body = read_body(response).await?;
    if !status.is_success() {
        return Err(refusal(status, wait, &body));
    }
    if kind.starts_with("text/html") || body.trim_start().starts_with('<') {
        return Err(Failure::fatal(
            "answers with a web page; is the base address right (.../v1)?",
        ));
    }
    let draft = match stream && (kind.starts_with("text/event-stream") || body.starts_with("data:"))
    {
        true => from_events(&body)?,
        false => from_value(&body)?,
    };
    match draft.text.trim().is_empty() {
        true => Err(Failure {
            counts: false,
            ..Failure::again("empty answer")
        }),
        false => Ok(draft),
    }
}

/// Reads at most [`MAX_ANSWER`] bytes.
async fn read_body(mut response: Response) -> Result<String, Failure> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER => body.extend(&chunk),
            Ok(Some(_)) => return Err(Failure::again("answer longer than a text can be")),
            Ok(None) => break,
            Err(error) => return Err(Failure::again(super::describe(&error))),
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn refusal(status: StatusCode, wait: Option<Duration>, body: &str) -> Failure {
    let said = serde_json::from_str::<Value>(body).ok();
    let said = said
        .as_ref()
        .and_then(|v| v["error"]["message"].as_str().or(v["error"].as_str()));
    let said: String = said.unwrap_or_default().chars().take(200).collect();
    let reason = format!("{status} {said}").trim().to_owned();
    match status.as_u16() {
        // Being asked to wait says nothing bad about the server.
        429 => Failure {
            counts: false,
            wait,
            ..Failure::again(reason)
        },
        408 | 425 | 500..=599 => Failure {
            wait,
            ..Failure::again(reason)
        },
        401 | 403 => Failure::fatal(format!("{reason}; check the key variable")),
        404 | 405 => Failure::fatal(format!("{reason}; check the base address and the model")),
        _ => Failure {
            reason,
            ..Failure::default()
        },
    }
}

/// The longest that a server is believed to mean.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// `Retry-After`, in seconds or as an HTTP date (RFC 9110, section 10.2.3).
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    wait_of(value.trim(), SystemTime::now())
}

fn wait_of(value: &str, now: SystemTime) -> Option<Duration> {
    let wait = match value.parse::<f64>() {
        Ok(seconds) if seconds.is_nan() => return None,
        Ok(seconds) => Duration::try_from_secs_f64(seconds.min(LONGEST_WAIT.as_secs_f64())).ok()?,
        // A moment that has passed asks for no wait.
        Err(_) => {
            let moment = httpdate::parse_http_date(value).ok()?;
            moment.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

fn from_value(body: &str) -> Result<Draft, Failure> {
    let value: Value = serde_json::from_str(body)
        .map_err(|e| Failure::again(format!("answer is not JSON ({e})")))?;
    let text = value["choices"][0]["message"]["content"].as_str();
    let text = text.ok_or_else(|| Failure::again("answer without choices[0].message.content"))?;
    Ok(Draft {
        text: text.to_owned(),
        model: value["model"].as_str().map(str::to_owned),
        usage: usage(&value),
    })
}

/// Joins the pieces of a stream of server-sent events; a stream without its end was cut off.
fn from_events(body: &str) -> Result<Draft, Failure> {
    let mut draft = Draft::default();
    let mut ended = false;
    for data in body.lines().filter_map(|line| line.strip_prefix("data:")) {
        if data.trim() == "[DONE]" {
            ended = true;
            break;
        }
        let value: Value = serde_json::from_str(data)
            .map_err(|e| Failure::again(format!("piece of a stream is not JSON ({e})")))?;
        let choice = &value["choices"][0];
        draft
            .text
            .push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        ended |= choice["finish_reason"].is_string();
        draft.model = draft
            .model
            .or_else(|| value["model"].as_str().map(str::to_owned));
        draft.usage.add(usage(&value));
    }
    match ended {
        true => Ok(draft),
        false => Err(Failure::again("the stream was cut off")),
    }
}

fn usage(value: &Value) -> Usage {
    let count = |key: &str| value["usage"][key].as_u64().unwrap_or(0);
    Usage {
        prompt_tokens: count("prompt_tokens"),
        completion_tokens: count("completion_tokens"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_in_seconds_and_as_dates() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT").unwrap();
        let wait = |value| wait_of(value, now).map(|wait| wait.as_millis());
        assert_eq!(wait("0.4"), Some(400));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:30 GMT"), Some(30_000));
        assert_eq!(wait("Wednesday, 21-Oct-15 07:28:30 GMT"), Some(30_000));
        assert_eq!(wait("Wed, 21 Oct 2015 07:27:00 GMT"), Some(0));
        assert_eq!(wait("Wed, 21 Oct 2099 07:28:00 GMT"), Some(3_600_000));
        assert_eq!(wait("1e300"), Some(3_600_000));
        for bad in ["", "soon", "-1", "NaN", "Wed, 99 Oct 2015 07:28:00 GMT"] {
            assert_eq!(wait(bad), None, "{bad}");
        }
    }
}
