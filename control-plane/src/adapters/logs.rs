//! The log: one line an event on standard error, as text or JSON.

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Flags of the log.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// What is logged: error, warn, info, debug, trace, or filters such as `info,kube_booster=debug`
    #[arg(long, default_value = "info", value_name = "LEVEL", value_parser = filter)]
    pub log_level: EnvFilter,
    /// How it is written
    #[arg(long, default_value = "json", value_enum)]
    pub log_format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

fn filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(text).map_err(|error| error.to_string())
}

/// Sends all events to standard error from now on.
pub fn start(args: &LogArgs) {
    let builder =
        tracing_subscriber::fmt().with_env_filter(args.log_level.clone()).with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Json => builder.json().flatten_event(true).with_target(false).init(),
        LogFormat::Text => builder.with_target(false).init(),
    }
}
