//! Connections by TLS (`rediss://`): whom they trust, what they show of themselves, and what it means
//! when the two sides do not come together.

use std::{fmt, io, sync::Arc};

use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, RedisError, TlsCertificates};
use rustls::{
    AlertDescription, CertificateError,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::errors::store_error;
use crate::store::{StoreError, StoreResult};

/// Whom a connection by TLS trusts, and what it shows of itself. Without either it trusts whom the system
/// does, and shows nothing.
#[derive(Clone, Default)]
pub struct Tls {
    certificates: Option<TlsCertificates>,
}

/// What was given for TLS is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTls {
    /// There is no certificate to trust.
    #[error("there is no certificate (PEM) in what is to be trusted")]
    Ca,
    /// There is no certificate to show.
    #[error("there is no certificate (PEM) to show")]
    Certificate,
    /// There is no key to the certificate that is shown.
    #[error("there is no private key (PEM) without a password to the certificate")]
    Key,
}

/// A certificate to show to the server, and its key; both in PEM.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// The certificate, and those between it and one that the server trusts.
    pub certificate: &'a [u8],
    /// Its private key.
    pub key: &'a [u8],
}

impl Tls {
    /// Trusts the certificates in `ca` (PEM) in place of the system's, and shows `identity` to a server that asks.
    pub fn new(ca: Option<&[u8]>, identity: Option<Identity<'_>>) -> Result<Self, BadTls> {
        if ca.is_some_and(|ca| !holds_certificates(ca)) {
            return Err(BadTls::Ca);
        }
        if let Some(Identity { certificate, key }) = identity {
            if !holds_certificates(certificate) {
                return Err(BadTls::Certificate);
            }
            PrivateKeyDer::from_pem_slice(key).map_err(|_| BadTls::Key)?;
        }
        let shown = |Identity { certificate, key }: Identity<'_>| ClientTlsConfig {
            client_cert: certificate.into(),
            client_key: key.into(),
        };
        let given = ca.is_some() || identity.is_some();
        let certificates =
            TlsCertificates { client_tls: identity.map(shown), root_cert: ca.map(<[u8]>::to_vec) };
        Ok(Self { certificates: given.then_some(certificates) })
    }
}

/// Without what it holds.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn holds_certificates(pem: &[u8]) -> bool {
    let mut found = CertificateDer::pem_slice_iter(pem).peekable();
    found.peek().is_some() && found.all(|certificate| certificate.is_ok())
}

/// What opens connections to `info`, by TLS if its address says so.
pub(super) fn client(info: ConnectionInfo, tls: &Tls) -> StoreResult<Client> {
    let address = info.addr().to_string();
    let opened = match (info.addr(), &tls.certificates) {
        (ConnectionAddr::TcpTls { insecure: true, .. }, _) => {
            return Err(StoreError::Refused(format!(
                "{address} with #insecure would trust anybody: leave it out, and name the server's own CA with --tls-ca"
            )));
        }
        (ConnectionAddr::TcpTls { .. }, certificates) => {
            agree_on_cryptography();
            match certificates {
                Some(certificates) => Client::build_with_tls(info, certificates.clone()),
                None => Client::open(info),
            }
        }
        (_, None) => Client::open(info),
        (_, Some(_)) => {
            return Err(StoreError::Refused(format!(
                "{address} is not reached by TLS, and certificates were given: write rediss:// for it, or leave out --tls-ca, --tls-cert and --tls-key"
            )));
        }
    };
    opened.map_err(|error| store_error(&address, error))
}

/// The process's choice stands, if it has made one.
fn agree_on_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Else somebody was faster, which is as good.
        _ = ring::default_provider().install_default();
    }
}

/// Why the two sides do not come together, if that is what went wrong, and what to do.
pub(super) fn refusal(address: &str, error: &RedisError) -> Option<StoreError> {
    let why = match disagreement(error)? {
        rustls::Error::InvalidCertificate(why) => mistrust(why),
        rustls::Error::AlertReceived(alert) => rejection(*alert),
        rustls::Error::InvalidMessage(_) => {
            "does not speak TLS: write redis:// for it, or name its TLS port".to_owned()
        }
        other => format!("and this side do not agree on TLS: {other}"),
    };
    Some(StoreError::Unconnected(format!("{address} {why}")))
}

fn mistrust(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "shows a certificate that nobody trusted here has signed: name its own CA with --tls-ca"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "shows a certificate for another name: write the host in --redis as its certificate has it"
                .to_owned()
        }
        other => format!("shows a certificate that is not good: {other}"),
    }
}

fn rejection(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "wants a certificate of its clients: name one with --tls-cert, and its key with --tls-key"
                .to_owned()
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::DecryptError => {
            format!(
                "does not take the certificate that was shown to it ({alert:?}): see --tls-cert and --tls-key"
            )
        }
        other => format!("ends the TLS handshake with {other:?}: see its log"),
    }
}

/// What TLS says went wrong, below what the client library makes of it.
fn disagreement(error: &RedisError) -> Option<&rustls::Error> {
    let source = std::error::Error::source(error)?;
    let inner = source.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
    inner.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(error: rustls::Error) -> String {
        let error = io::Error::new(io::ErrorKind::InvalidData, error);
        match refusal("h:1", &error.into()) {
            Some(StoreError::Unconnected(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_disagreement_says_which_option_settles_it() {
        let shown = |why| refused(rustls::Error::InvalidCertificate(why));
        assert!(shown(CertificateError::UnknownIssuer).contains("--tls-ca"));
        assert!(shown(CertificateError::NotValidForName).contains("another name"));
        assert!(shown(CertificateError::Expired).contains("not good"));
        let alert = |why| refused(rustls::Error::AlertReceived(why));
        assert!(alert(AlertDescription::CertificateRequired).contains("wants a certificate"));
        assert!(alert(AlertDescription::UnknownCA).contains("--tls-cert"));
        let plain = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        assert!(refused(plain).contains("write redis://"));
    }

    #[test]
    fn what_is_no_disagreement_is_left_to_others() {
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(refusal("h:1", &broken.into()).is_none());
    }

    #[test]
    fn what_is_no_certificate_and_no_key_is_refused() {
        let garbage: &[u8] = b"-----BEGIN NOTHING-----";
        assert_eq!(Tls::new(Some(garbage), None).unwrap_err(), BadTls::Ca);
        let identity = Identity { certificate: garbage, key: garbage };
        assert_eq!(Tls::new(None, Some(identity)).unwrap_err(), BadTls::Certificate);
        assert!(Tls::new(None, None).unwrap().certificates.is_none());
    }
}
