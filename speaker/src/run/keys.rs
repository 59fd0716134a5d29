//! Follows the file of the mesh's key: a Secret that is changed is brought to every node by its kubelet.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::args;
use crate::mesh::seal::Keyring;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Sends the keys in `folder` whenever they are others than `known`, until nobody takes them. A file that
/// cannot be read, or holds no key, changes nothing; that is said once.
pub(super) async fn follow(folder: PathBuf, mut known: Keyring, keys: mpsc::Sender<Keyring>) {
    let mut complaint = String::new();
    loop {
        tokio::time::sleep(LOOK).await;
        match args::keys(&folder) {
            Ok(now) => {
                complaint.clear();
                if now != known {
                    known = now.clone();
                    if keys.send(now).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => {
                let error = error.to_string();
                if error != complaint {
                    tracing::error!(event = "keyUnreadable", %error, "the key of the mesh stays what it was");
                    complaint = error;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::mesh::seal::SecretKey;

    #[tokio::test(start_paused = true)]
    async fn a_changed_key_is_told_once_and_one_that_is_none_changes_nothing() {
        let folder = std::env::temp_dir().join(format!("ferrolb-keys-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let write = |key: &[u8]| fs::write(folder.join("secretkey"), key).unwrap();
        write(&[1; 32]);
        let (sender, mut keys) = mpsc::channel(1);
        let known = args::keys(&folder).unwrap();
        let following = tokio::spawn(follow(folder.clone(), known, sender));
        let mut next = async || tokio::time::timeout(4 * LOOK, keys.recv()).await.ok().flatten();
        assert_eq!(next().await, None, "it is known");
        write(b"short");
        assert_eq!(next().await, None);
        fs::remove_file(folder.join("secretkey")).unwrap();
        assert_eq!(next().await, None);
        write(&[2; 32]);
        assert_eq!(next().await, Some(SecretKey::derive(&[2; 32]).into()));
        assert_eq!(next().await, None, "told once");
        following.abort();
        fs::remove_dir_all(&folder).unwrap();
    }
}
