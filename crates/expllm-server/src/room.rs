//! Memory for bodies, taken before the first byte of them is read.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{Method, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Refusal;

/// Bytes of one permit.
const UNIT: usize = 1 << 10;

/// The memory that bodies may take at a time.
#[derive(Debug)]
pub(crate) struct Room {
    units: Arc<Semaphore>,
    max_body: usize,
}

impl Room {
    /// Room for `bytes` of bodies of at most `max_body` each.
    pub fn new(bytes: usize, max_body: usize) -> Self {
        let units = bytes.div_ceil(UNIT).min(Semaphore::MAX_PERMITS);
        let units = Arc::new(Semaphore::new(units));
        Self { units, max_body }
    }

    /// Room for the body of a request: what it says it has, or the most that it may have.
    pub fn take(&self, request: &Request) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(None);
        }
        let length = stated(request)?.unwrap_or(self.max_body);
        if length > self.max_body {
            return Err(Refusal::too_large());
        }
        let units = u32::try_from(length.div_ceil(UNIT)).map_err(|_| Refusal::too_large())?;
        let taken = Arc::clone(&self.units).try_acquire_many_owned(units);
        taken.map(Some).map_err(|_| Refusal::busy(Duration::ZERO))
    }
}

/// The length that a request states.
pub(crate) fn stated(request: &Request) -> Result<Option<usize>, Refusal> {
    let Some(length) = request.headers().get(header::CONTENT_LENGTH) else {
        return Ok(None);
    };
    let length = length.to_str().ok().and_then(|text| text.parse().ok());
    // A number that does not fit is too large in any case.
    length.map(Some).ok_or_else(Refusal::too_large)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;

    use super::*;

    fn post(length: Option<&str>) -> Request {
        let mut request = Request::post("/");
        if let Some(length) = length {
            request = request.header(header::CONTENT_LENGTH, length);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn bodies_share_the_room_and_give_it_back() {
        let room = Room::new(4 << 20, 2 << 20);
        let unknown = room.take(&post(None)).unwrap();
        let known = room.take(&post(Some("1048576"))).unwrap();
        let full = room.take(&post(Some("1048577"))).unwrap_err();
        assert_eq!(full.status, StatusCode::TOO_MANY_REQUESTS);
        drop((unknown, known));
        assert!(room.take(&post(Some("1048577"))).is_ok());
        let get = Request::get("/").body(Body::empty()).unwrap();
        assert!(room.take(&get).unwrap().is_none());
    }

    #[test]
    fn a_body_that_is_too_large_is_refused_by_its_length() {
        let room = Room::new(4 << 20, 2 << 20);
        for length in ["2097153", "1073741824", "99999999999999999999999"] {
            let refused = room.take(&post(Some(length))).unwrap_err();
            assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE, "{length}");
        }
    }
}
