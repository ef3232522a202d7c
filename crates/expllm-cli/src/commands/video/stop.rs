//! Ending early when the keyboard says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::CliError;

/// Whether somebody asked the program to end.
#[derive(Debug, Clone)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Begins to listen for Ctrl-C; a second one ends the program at once.
    pub fn on_interrupt() -> Result<Self, CliError> {
        let stop = Self(Arc::default());
        let asked = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(CliError::library)?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                while tokio::signal::ctrl_c().await.is_ok() {
                    if asked.0.swap(true, Ordering::Relaxed) {
                        // 128 and the number of the signal, as shells have it.
                        std::process::exit(130);
                    }
                }
            });
        });
        Ok(stop)
    }

    /// Whether it is time to end.
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
