//! The page in a real browser, and the server under a real client.
//!
//! Both need programs that are no part of the project, and are skipped, saying so, where they are
//! absent: Chromium and Node.js with the packages that `tests/page.mjs` names, and a Python that
//! has the package `openai`.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A failure ends the test; figures are told.

use std::path::{Path, PathBuf};
use std::process::Command;

use expllm_server::{ServerConfig, Token};
use expllm_testing::skipped;

#[allow(dead_code)] // The page needs a part of it.
#[path = "server/common.rs"]
mod common;

use common::{Running, started};

/// A server that wants a token, or none.
async fn with_token(token: Option<&str>) -> (String, Running) {
    let server = started(ServerConfig {
        token: token.map(|token| Token::new(token).unwrap()),
        ..ServerConfig::default()
    });
    let server = server.await;
    (format!("http://{}", server.address), server)
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The path of a program: named by a variable, or under one of its usual names.
fn program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return Some(named.into());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&folders).collect();
    let places = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.into_iter().find(|place| place.is_file())
}

/// Frames of a camera before which somebody sits still: the photo with the noise of a sensor.
fn camera(path: &Path) {
    const WIDTH: u32 = 640;
    const HEIGHT: u32 = 480;
    let photo = image::open(here("../../examples/photos/astronaut.png")).unwrap();
    let photo = photo
        .resize_to_fill(WIDTH, HEIGHT, image::imageops::FilterType::Triangle)
        .into_luma8();
    let mut video = b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n".to_vec();
    let mut noise = 1_u32;
    for _ in 0..10 {
        video.extend_from_slice(b"FRAME\n");
        for grey in photo.iter() {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            video.push(grey.saturating_add((noise >> 29) as u8));
        }
        video.extend(std::iter::repeat_n(128, (WIDTH * HEIGHT / 2) as usize));
    }
    std::fs::write(path, video).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_works_in_a_browser() {
    let Some(chromium) = program(
        "EXPLLM_CHROMIUM",
        &["chromium", "chromium-browser", "google-chrome"],
    ) else {
        return skipped("chromium");
    };
    let Some(node) = program("EXPLLM_NODE", &["node", "nodejs"]) else {
        return skipped("node");
    };
    let modules = std::env::var_os("EXPLLM_NODE_MODULES");
    let modules = modules.map_or_else(|| here("../../target/browser/node_modules"), PathBuf::from);
    if !modules.join("playwright-core").exists() {
        return skipped("playwright-core");
    }
    let folder = tempfile::tempdir().unwrap();
    let shown = std::env::var_os("EXPLLM_SCREENSHOTS");
    let shown = shown.map_or_else(|| folder.path().to_owned(), PathBuf::from);
    camera(&folder.path().join("camera.y4m"));
    let (address, _server) = with_token(None).await;
    let (locked, _server) = with_token(Some("open-sesame")).await;
    let mut check = Command::new(node);
    check.arg(here("tests/page.mjs")).args([&address, &locked]);
    check.arg(&chromium);
    check.args([&modules, &here("../../examples/photos/astronaut.png")]);
    check.args([&folder.path().join("camera.y4m"), &shown]);
    let done = tokio::task::spawn_blocking(move || check.output())
        .await
        .unwrap()
        .unwrap();
    println!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(done.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_openai_streams_a_chain() {
    let python = program("EXPLLM_PYTHON", &["python3"]);
    let has = |python: &PathBuf| {
        Command::new(python)
            .args(["-c", "import openai"])
            .output()
            .is_ok_and(|o| o.status.success())
    };
    let Some(python) = python.filter(has) else {
        return skipped("the Python package openai");
    };
    let (address, _server) = with_token(None).await;
    let mut client = Command::new(python);
    client.arg(here("tests/client.py")).arg(&address);
    client.arg(here("../../examples/photos/astronaut.png"));
    let done = tokio::task::spawn_blocking(move || client.output())
        .await
        .unwrap()
        .unwrap();
    println!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(done.status.success());
}
