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
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::ground::outcome::Failure;

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
/// What a client of HTTP/2 says first: the fixed text, then settings, which are empty (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const FRAME_HEAD: usize = 9;
const FRAME_TYPE: usize = 3;
const SETTINGS: u8 = 4;

/// The versions of HTTP that a TLS connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Versions {
    /// HTTP/1.1, which needs no agreement.
    Http1,
    /// HTTP/2 alone.
    Http2,
    /// Whichever the app prefers.
    Both,
}

/// Connects to `address`.
pub(super) async fn tcp(address: SocketAddr) -> Result<TcpStream, Failure> {
    let to_connect = |error| Failure::to_connect(&error);
    let stream = TcpStream::connect(address).await.map_err(to_connect)?;
    stream.set_nodelay(true).map_err(to_connect)?;
    Ok(stream)
}

/// The same with TLS.
pub(super) async fn tls(address: SocketAddr, versions: Versions) -> Result<TlsStream<TcpStream>, Failure> {
    let mut config = unverified().ok_or(Failure::Tls)?.clone();
    config.alpn_protocols = match versions {
        Versions::Http1 => vec![],
        Versions::Http2 => vec![HTTP2.to_vec()],
        Versions::Both => vec![HTTP2.to_vec(), HTTP1.to_vec()],
    };
    let stream = tcp(address).await?;
    let connected =
        TlsConnector::from(Arc::new(config)).connect(ServerName::from(address.ip()), stream).await;
    connected.map_err(|_| Failure::Tls)
}

/// Whether the app at `address` speaks HTTP/2 in clear text: then it answers our preface with its settings. One that answers
/// in HTTP/1.1 speaks nothing else there.
pub(super) async fn speaks_clear_http2(address: SocketAddr) -> Result<bool, Failure> {
    let mut stream = tcp(address).await?;
    let mut head = [0; FRAME_HEAD];
    let said = async {
        stream.write_all(PREFACE).await?;
        stream.read_exact(&mut head).await
    };
    let is_answered = said.await.is_ok();
    if head.starts_with(b"HTTP/") {
        return Err(Failure::NotGrpc);
    }
    Ok(is_answered && head[FRAME_TYPE] == SETTINGS)
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
