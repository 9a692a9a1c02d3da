//! The name of a gRPC method, as `package.Service/Method`.

use std::{fmt, str::FromStr};

/// Longest name, in bytes.
const MAX_LENGTH: usize = 256;

/// A gRPC method by its service's full name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcMethod {
    service: String,
    name: String,
}

/// Why a text names no method; reads after the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrpcMethodError {
    /// Not two parts.
    #[error("does not have one slash, between service and method")]
    Slash,
    /// A part that protobuf does not take.
    #[error("holds what is no name in protobuf")]
    Name,
    /// More than anybody writes.
    #[error("is longer than 256 bytes")]
    TooLong,
}

impl GrpcMethod {
    /// The service, with its package.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The method within its service.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where HTTP/2 asks for it.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/{self}")
    }
}

impl FromStr for GrpcMethod {
    type Err = GrpcMethodError;

    fn from_str(text: &str) -> Result<Self, GrpcMethodError> {
        if text.len() > MAX_LENGTH {
            return Err(GrpcMethodError::TooLong);
        }
        let (service, name) = text.split_once('/').ok_or(GrpcMethodError::Slash)?;
        if name.contains('/') || service.is_empty() {
            return Err(GrpcMethodError::Slash);
        }
        if !service.split('.').all(is_name) || !is_name(name) {
            return Err(GrpcMethodError::Name);
        }
        Ok(Self { service: service.to_owned(), name: name.to_owned() })
    }
}

fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl fmt::Display for GrpcMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_method_is_asked_for_by_its_services_full_name() {
        let method: GrpcMethod = "shop.v1.Cart/Get".parse().unwrap();
        assert_eq!((method.service(), method.name()), ("shop.v1.Cart", "Get"));
        assert_eq!(method.path(), "/shop.v1.Cart/Get");
        assert!("Cart/Get".parse::<GrpcMethod>().is_ok(), "a service may have no package");
    }

    #[test]
    fn what_names_no_method_is_refused() {
        let check = |text: &str, error| assert_eq!(text.parse::<GrpcMethod>(), Err(error), "{text}");
        for text in ["", "shop.Cart", "shop.Cart.Get", "/shop.Cart/Get", "shop/Cart/Get"] {
            check(text, GrpcMethodError::Slash);
        }
        for text in
            ["shop..Cart/Get", ".Cart/Get", "shop.Cart/", "shop.Cart/G t", "1shop.Cart/Get", "shöp.Cart/Get"]
        {
            check(text, GrpcMethodError::Name);
        }
        check(&format!("shop.Cart/{}", "G".repeat(250)), GrpcMethodError::TooLong);
    }

    proptest! {
        #[test]
        fn writing_and_reading_are_inverse(text in "[a-zA-Z_][a-zA-Z_.0-9]{0,20}/[a-zA-Z_0-9]{0,9}") {
            if let Ok(method) = text.parse::<GrpcMethod>() {
                prop_assert_eq!(method.to_string(), text);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<GrpcMethod>();
        }
    }
}
