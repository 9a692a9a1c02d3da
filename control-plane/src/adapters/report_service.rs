//! The Service in front of the report server.

use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};

/// Its name.
pub const NAME: &str = "kube-booster-reports";

/// Why sidecars cannot be told where to report.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The API server did not answer as hoped.
    #[error("cannot read Service {NAME}")]
    Api(#[from] kube::Error),
    /// A headless Service has no address of its own.
    #[error("Service {NAME} has no ClusterIP; do not make it headless")]
    Headless,
}

/// Address and port of the Service in `namespace`: an address, so that the sidecars need no DNS.
pub async fn address(client: &Client, namespace: &str) -> Result<String, AddressError> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    address_of(services.get(NAME).await?)
}

fn address_of(service: Service) -> Result<String, AddressError> {
    let spec = service.spec.unwrap_or_default();
    let port = spec.ports.unwrap_or_default().first().map_or(9090, |port| port.port);
    match spec.cluster_ip.as_deref() {
        None | Some("" | "None") => Err(AddressError::Headless),
        Some(v6) if v6.contains(':') => Ok(format!("[{v6}]:{port}")),
        Some(v4) => Ok(format!("{v4}:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_is_one_of_either_family_with_the_services_port() {
        let of = |ip: &str| {
            let spec = json!({"spec": {"clusterIP": ip, "ports": [{"port": 99}]}});
            address_of(serde_json::from_value(spec).unwrap())
        };
        assert_eq!(of("10.96.0.7").unwrap(), "10.96.0.7:99");
        assert_eq!(of("fd00::7").unwrap(), "[fd00::7]:99");
        assert!(matches!(of("None"), Err(AddressError::Headless)));
    }
}
