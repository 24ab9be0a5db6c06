//! Standard output that may be closed at any moment, as by `status | head`.

use std::io::{self, Write as _};

/// Prints a line, as `println!` does, and goes on when nobody reads any more.
#[macro_export]
macro_rules! tell {
    ($($argument:tt)*) => { $crate::output::line(&format!($($argument)*)) };
}

/// What [`tell!`] calls.
pub fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
