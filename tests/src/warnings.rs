//! What the API server warns an author of.

use anyhow::{Context, ensure};
use axum::http::{Request, header::CONTENT_TYPE};
use kube::{Client, client::Body};
use serde_json::Value;

/// The warnings with which `object` would be created below `path`; nothing is stored.
pub async fn of_dry_run(client: &Client, path: &str, object: &Value) -> anyhow::Result<Vec<String>> {
    let request = Request::post(format!("{path}?dryRun=All"))
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(serde_json::to_vec(object)?))?;
    let answer = client.send(request).await?;
    let status = answer.status();
    let headers = answer.headers().get_all("warning").iter();
    let warnings = headers.map(|value| text(value.as_bytes())).collect::<anyhow::Result<_>>()?;
    ensure!(
        status.is_success(),
        "{status}: {}",
        String::from_utf8_lossy(&answer.into_body().collect_bytes().await?)
    );
    Ok(warnings)
}

/// The text of a warning's header, which is `299 - "text"` with quotes and backslashes escaped.
fn text(header: &[u8]) -> anyhow::Result<String> {
    let header = std::str::from_utf8(header)?;
    let quoted = header.strip_prefix("299 - ").with_context(|| format!("no warning: {header}"))?;
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).context("a quoted text")?;
    Ok(inner.replace(r#"\""#, "\"").replace(r"\\", r"\"))
}
