//! Remembers that the user asked to stop, so that a lab that is half up is taken down, not left.

use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Asks everything that waits to give up.
pub fn request() {
    REQUESTED.store(true, Ordering::SeqCst);
}

/// Clears the request: clean-up waits as well, and must not give up.
pub fn clear() {
    REQUESTED.store(false, Ordering::SeqCst);
}

pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}
