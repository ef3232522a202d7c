//! The page and what it needs, all of it in the binary.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::App;

/// A file of the page: path, content type, text.
type File = (&'static str, &'static str, &'static str);

const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: [File; 8] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/index.html"),
    ),
    (
        "/app.css",
        "text/css; charset=utf-8",
        include_str!("page/app.css"),
    ),
    ("/app.js", SCRIPT, include_str!("page/app.js")),
    ("/live.js", SCRIPT, include_str!("page/live.js")),
    ("/picture.js", SCRIPT, include_str!("page/picture.js")),
    ("/reading.js", SCRIPT, include_str!("page/reading.js")),
    ("/save.js", SCRIPT, include_str!("page/save.js")),
    ("/server.js", SCRIPT, include_str!("page/server.js")),
];

/// The routes of the page.
pub(crate) fn routes() -> Router<App> {
    let add = |router: Router<App>, (path, kind, text): File| {
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        router.route(
            path,
            get(move || async move { (headers, text).into_response() }),
        )
    };
    FILES.into_iter().fold(Router::new(), add)
}

/// Whether a path is a file of the page.
pub(crate) fn has(path: &str) -> bool {
    FILES.iter().any(|(file, ..)| *file == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_has_nothing_inline() {
        let bytes: usize = FILES.iter().map(|(.., text)| text.len()).sum();
        assert!(bytes < 300_000, "{bytes}");
        let html = FILES[0].2;
        for inline in [
            "<style",
            "style=",
            "onclick",
            "javascript:",
            "http://",
            "https://",
        ] {
            assert!(!html.contains(inline), "{inline}");
        }
        assert!(
            html.matches("<script").count() == html.matches("<script type=\"module\" src=").count()
        );
    }
}
