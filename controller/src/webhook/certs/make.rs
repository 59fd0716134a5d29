//! New authorities and certificates: P-256 keys, as PEM. Keys come of ring's random source; all else
//! follows from the arguments.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use super::{Material, Wall, bundle};

/// How long an authority lasts: ten years, as MetalLB's.
pub const AUTHORITY_LIFE: Wall = 3_650 * DAY;

/// How long a certificate lasts: a year, as MetalLB's.
pub const LIFE: Wall = 365 * DAY;

/// Certificates count from a little before they were made: the API server's clock may be behind.
pub const BACKDATED: Wall = 60 * 60;

const DAY: Wall = 24 * 60 * 60;

/// A new authority, and a certificate of it for `names`.
///
/// # Errors
/// `rcgen`'s, for a name that no certificate can hold.
pub fn anew(names: &[String], now: Wall) -> Result<Material, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = called("ferrolb webhook authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let until = now + AUTHORITY_LIFE;
    date(&mut params, now, until);
    let authority = params.self_signed(&key)?.pem();
    let authority_key = key.serialize_pem();
    let (certificate, key) = signed(&Issuer::new(params, key), names, now, until)?;
    Ok(Material { authority, authority_key, certificate, key })
}

/// Another certificate for `names` of the authority in `old`, whose key must be there.
///
/// # Errors
/// `rcgen`'s, when the authority's certificate or key cannot be worked with.
pub fn renewed(old: &Material, names: &[String], now: Wall) -> Result<Material, rcgen::Error> {
    let own = KeyPair::from_pem(&old.authority_key)?;
    let issuer = Issuer::from_ca_cert_pem(&old.authority, own)?;
    let authorities = bundle::read(old.authority.as_bytes());
    let until = authorities.first().map_or(now, |authority| authority.until);
    let (certificate, key) = signed(&issuer, names, now, until)?;
    Ok(Material { certificate, key, ..old.clone() })
}

/// Certificate and key; it does not outlive its authority.
fn signed(
    issuer: &Issuer<'_, KeyPair>,
    names: &[String],
    now: Wall,
    authority_until: Wall,
) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = called(names.first().map_or("", String::as_str));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let until = authority_until.min(now + LIFE);
    date(&mut params, now, until);
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}

/// A common name longer than 64 characters would be invalid, and nobody reads it: names of Services
/// are in the certificate as such.
fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::OrganizationName, "ferrolb");
    called.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    called
}

fn date(params: &mut CertificateParams, now: Wall, until: Wall) {
    let since_1970 = |at: Wall| Duration::from_secs(u64::try_from(at).unwrap_or_default());
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970(now - BACKDATED);
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970(until);
}
