//! Where the shop is.

use std::fmt;
use std::str::FromStr;

use http::Uri;

const HTTP_PORT: u16 = 80;

/// Host and port of an `http://` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    host: String,
    port: u16,
}

/// Why a text is no [`Origin`].
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// Not a URL at all.
    #[error("not a URL like http://host:port")]
    Invalid(#[from] http::uri::InvalidUri),
    /// Something other than plain HTTP.
    #[error("a URL like http://host:port is needed, with http:// and a host")]
    NotHttp,
    /// More than an origin.
    #[error("the URL ends after the port; paths belong to --paths")]
    HasPath,
    /// Above 65535, or not a number.
    #[error("the port is not one from 1 to 65535")]
    Port,
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse()?;
        let authority =
            uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or(OriginError::NotHttp)?;
        if uri.path() != "/" || uri.query().is_some() {
            return Err(OriginError::HasPath);
        }
        let has_port = !authority.as_str().ends_with(authority.host());
        let port = if has_port { authority.port_u16().filter(|port| *port > 0) } else { Some(HTTP_PORT) };
        Ok(Self { host: authority.host().to_owned(), port: port.ok_or(OriginError::Port)? })
    }
}

impl Origin {
    /// The name or address to look up.
    pub(super) fn host(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What the `Host` header says.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, u16), &str>) {
        let origin = text.parse::<Origin>();
        let found = origin.as_ref().map(|origin| (origin.host(), origin.port())).map_err(ToString::to_string);
        assert_eq!(found, expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn a_url_gives_host_and_port() {
        check("http://shop.demo.svc:8080", Ok(("shop.demo.svc", 8080)));
        check("http://10.0.0.7/", Ok(("10.0.0.7", 80)));
        check("http://[::1]:81", Ok(("::1", 81)));
    }

    #[test]
    fn anything_else_is_refused_with_what_is_wrong() {
        let not_http = "a URL like http://host:port is needed, with http:// and a host";
        check("https://shop", Err(not_http));
        check("shop:8080", Err(not_http));
        check("http://shop/search", Err("the URL ends after the port; paths belong to --paths"));
        check("http://shop:70000", Err("the port is not one from 1 to 65535"));
        check("http://a b", Err("not a URL like http://host:port"));
    }
}
