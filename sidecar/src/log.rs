//! One line per event on standard error, for `kubectl logs`.

use std::{
    fmt,
    io::{self, Write},
};

/// Writes one line; a closed standard error is nobody's problem.
pub(crate) fn line(event: fmt::Arguments<'_>) {
    let text = event.to_string().replace(char::is_control, " ");
    _ = io::stderr().write_all(format!("kube-booster: {text}\n").as_bytes());
}

/// Writes one line: `log!("waiting for port {port}")`.
macro_rules! log {
    ($($event:tt)*) => { $crate::log::line(format_args!($($event)*)) };
}

pub(crate) use log;
