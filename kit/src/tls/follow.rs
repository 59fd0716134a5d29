//! The certificate's files: read again and again, used when they are others. A Secret's files are
//! replaced by moving a symbolic link, which no watch on the files themselves would notice, and
//! reading a few kilobytes costs nothing.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Certificate, CertificateError};

/// How often they are read.
const PERIOD: Duration = Duration::from_secs(10);

/// Certificate and key, as they are in the files.
type Pair = (Vec<u8>, Vec<u8>);

/// Why the files are of no use.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Use(#[from] CertificateError),
}

/// Keeps `certificate` as `tls.crt` and `tls.key` in `folder` are, and hands each `tls.crt` that is used
/// to `taken`. `what` it is for, logs say.
pub async fn follow(
    folder: &Path,
    certificate: &Certificate,
    what: &'static str,
    taken: impl Fn(&[u8]),
) -> Infallible {
    let mut used = Used::default();
    let mut trouble = None;
    loop {
        match used.take(read(folder).await, certificate) {
            Ok(true) => {
                tracing::info!(folder = %folder.display(), "{what}: the certificate is in use");
                taken(&used.0.0);
                trouble = None;
            }
            Ok(false) => {}
            Err(error) => {
                let text = error.to_string();
                if trouble.as_ref() != Some(&text) {
                    tracing::warn!(error = text, "{what}: the certificate cannot be used");
                }
                trouble = Some(text);
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

async fn read(folder: &Path) -> Result<Pair, Error> {
    let file = async |name| {
        let path = folder.join(name);
        tokio::fs::read(&path).await.map_err(|source| Error::Read { path, source })
    };
    Ok((file("tls.crt").await?, file("tls.key").await?))
}

/// The pair that was looked at last.
#[derive(Default)]
struct Used(Pair);

impl Used {
    /// Uses the pair that was read, if it is another one; whether it was. One that is of no use is
    /// told once, and the one before it stays.
    fn take(
        &mut self,
        read: Result<Pair, Error>,
        certificate: &Certificate,
    ) -> Result<bool, Error> {
        let pair = read?;
        if pair == self.0 {
            return Ok(false);
        }
        self.0 = pair;
        let (cert, key) = &self.0;
        certificate.replace(cert, key)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::self_signed;

    fn pair() -> Pair {
        let (cert, key) = self_signed(&["localhost"]).unwrap();
        (cert.into_bytes(), key.into_bytes())
    }

    #[test]
    fn a_pair_is_used_once_and_a_broken_one_told_once() {
        let (mut used, certificate) = (Used::default(), Certificate::default());
        let (first, second) = (pair(), pair());
        assert!(used.take(Ok(first.clone()), &certificate).unwrap());
        assert!(!used.take(Ok(first.clone()), &certificate).unwrap());
        let torn = (second.0.clone(), first.1);
        assert!(used.take(Ok(torn.clone()), &certificate).is_err());
        assert!(!used.take(Ok(torn), &certificate).unwrap());
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let missing = Error::Read { path: "tls.crt".into(), source: missing };
        assert!(used.take(Err(missing), &certificate).is_err());
        assert!(used.take(Ok(second), &certificate).unwrap());
    }

    #[tokio::test]
    async fn both_files_of_the_folder_are_read() {
        let name = format!("ferrolb-pair-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("tls.crt"), "c").unwrap();
        let missing = read(&folder).await.unwrap_err().to_string();
        std::fs::write(folder.join("tls.key"), "k").unwrap();
        let both = read(&folder).await;
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(missing.contains("tls.key"), "{missing}");
        assert_eq!(both.unwrap(), (b"c".to_vec(), b"k".to_vec()));
    }
}
