//! Several authorities in one text, as `caBundle` has them.

use pem::{EncodeConfig, LineEnding, Pem};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::Authority;

/// The authorities in `text`, which is PEM, in the order written. What is none is left out: the API
/// server accepts no text that it cannot read, so it can only be something that matters to nobody.
pub fn read(text: &[u8]) -> Vec<Authority> {
    let all = CertificateDer::pem_slice_iter(text).filter_map(Result::ok);
    let authority = |der: CertificateDer<'_>| {
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
        let until = certificate.validity().not_after.timestamp();
        Some(Authority { der: der.to_vec(), until })
    };
    all.filter_map(authority).collect()
}

/// The text for these authorities.
pub fn write(authorities: &[Authority]) -> String {
    let all: Vec<_> =
        authorities.iter().map(|one| Pem::new("CERTIFICATE", one.der.as_slice())).collect();
    pem::encode_many_config(&all, EncodeConfig::new().set_line_ending(LineEnding::LF))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::certs::make;

    #[test]
    fn a_bundle_written_is_read_as_it_was_and_rubbish_is_left_out() {
        let make = || make::anew(&["a.b.svc".to_owned()], 1_800_000_000).unwrap().authority;
        let (one, other) = (make(), make());
        let all = read(format!("# one\n{one}\n{other}").as_bytes());
        assert_eq!(all.len(), 2);
        assert_eq!(read(write(&all).as_bytes()), all);
        assert_eq!(read(write(&all[..1]).as_bytes()), read(one.as_bytes()));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(read(format!("{broken}{other}").as_bytes()), all[1..]);
        assert_eq!(read(b""), []);
    }
}
