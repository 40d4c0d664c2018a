//! Over TLS: a server that a certificate authority of one's own vouches for, and that asks for the client's certificate.

use super::*;
use deltaic::ClientCertificate;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};

/// Somebody who vouches, and what is vouched for.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate with its key.
    fn vouch(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    fn server(&self, asks_clients: bool) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
        let builder = if asks_clients {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let (certificate, key) = self.vouch("localhost");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }
}

fn written(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Sends one document.
fn send(options: ElasticsearchOptions) -> Result<(), SinkError> {
    let mut sink = started(options)?;
    sink.apply(batch(0, 11, vec![touch(10, "a", Some(1))]))?;
    sink.finish().map(drop)
}

#[test]
fn a_server_is_believed_that_is_vouched_for() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    let ca_file = |authority: &Authority, name| Some(written(dir.path(), name, &authority.0.pem()));
    let server = SearchServer::over(Some(authority.server(false)), no_faults());
    send(ElasticsearchOptions { ca_file: ca_file(&authority, "ca.pem"), ..options(&server) }).unwrap();
    assert_eq!(seen(&server).len(), 1);
    let fast =
        |ca_file| ElasticsearchOptions { ca_file, retries_max: Some(1), alias: "b".to_owned(), ..options(&server) };
    for ca_file in [None, ca_file(&other, "other.pem")] {
        let told = refused(send(fast(ca_file)));
        assert!(told.to_string().to_lowercase().contains("certificate"), "{told}");
    }
    assert!(!server.model().indexes.contains_key("b-000001"));
}

#[test]
fn a_client_shows_its_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let server = SearchServer::over(Some(authority.server(true)), no_faults());
    let of = |authority: &Authority, name: &str| {
        let (certificate, key) = authority.vouch("ada");
        ClientCertificate {
            certificates: written(dir.path(), &format!("{name}.crt"), &certificate.pem()),
            key: written(dir.path(), &format!("{name}.key"), &key.serialize_pem()),
        }
    };
    let ca_file = Some(written(dir.path(), "ca.pem", &authority.0.pem()));
    let with = |client_certificate| ElasticsearchOptions {
        ca_file: ca_file.clone(),
        client_certificate,
        retries_max: Some(1),
        ..options(&server)
    };
    refused(send(with(None)));
    refused(send(with(Some(of(&Authority::new(), "mallory")))));
    assert!(server.model().indexes.is_empty());
    send(with(Some(of(&authority, "ada")))).unwrap();
    assert_eq!(seen(&server).len(), 1);
}
