//! Opens connections to the app, in clear text or over TLS.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::ground::outcome::Failure;

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Connects to `address`.
pub(super) async fn tcp(address: SocketAddr) -> Result<TcpStream, Failure> {
    let to_connect = |error| Failure::to_connect(&error);
    let stream = TcpStream::connect(address).await.map_err(to_connect)?;
    stream.set_nodelay(true).map_err(to_connect)?;
    Ok(stream)
}

/// The same with TLS, for HTTP/1.1 alone or for whichever version of HTTP the app prefers.
pub(super) async fn tls(address: SocketAddr, takes_http2: bool) -> Result<TlsStream<TcpStream>, Failure> {
    let mut config = unverified().ok_or(Failure::Tls)?.clone();
    if takes_http2 {
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    }
    let stream = tcp(address).await?;
    let connected =
        TlsConnector::from(Arc::new(config)).connect(ServerName::from(address.ip()), stream).await;
    connected.map_err(|_| Failure::Tls)
}

/// Whether the app chose HTTP/2.
pub(super) fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

/// TLS that takes any certificate, as the kubelet's probes do: the app is in our own pod.
fn unverified() -> Option<&'static ClientConfig> {
    static CONFIG: OnceLock<Option<ClientConfig>> = OnceLock::new();
    let make = || {
        let provider = Arc::new(ring::default_provider());
        let any = Arc::new(AnyCertificate(Arc::clone(&provider)));
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
        let builder = builder.dangerous().with_custom_certificate_verifier(any);
        let mut config = builder.with_no_client_auth();
        // Whole handshakes are what users' first connections cost.
        config.resumption = Resumption::disabled();
        Some(config)
    };
    CONFIG.get_or_init(make).as_ref()
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
