//! Sealed frames: what speakers say to one another, in a form that only they can read or make.
//!
//! ```text
//!  0      1              5                       21              29
//!  +------+--------------+-----------------------+---------------+------------------+
//!  | vers | feature bits | sender's instance     | counter       | sealed body, tag |
//!  | 1    | 4            | 16, random per start  | 8             | n + 16           |
//!  +------+--------------+-----------------------+---------------+------------------+
//!   \____ all of this is authenticated, too ____/ big-endian
//! ```
//!
//! XChaCha20-Poly1305 takes a nonce of 24 bytes, and instance and counter are just that, so a
//! nonce cannot come twice without a random source ever being read here. The counter also tells
//! frames that were recorded and sent again. Version and feature bits are there from the first
//! release on: a later one can tell whom it talks to before it changes anything.

use std::collections::BTreeMap;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};

/// The protocol version that is spoken here.
pub const VERSION: u8 = 2;
/// What this release can do beyond version 2.
pub const FEATURES: u32 = 0;

const HEADER: usize = 29;
const TAG: usize = 16;
/// Bytes of a frame besides its body.
pub const OVERHEAD: usize = HEADER + TAG;
const NONCE: std::ops::Range<usize> = 5..HEADER;
/// Senders whose counters are remembered. Far more than there are speakers; only the holder of
/// the key can make an entry at all.
const REMEMBERED: usize = 4_096;

/// Random bytes chosen by a process at its start.
pub type Instance = [u8; 16];

/// The secret that all speakers of a cluster share.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Key);

impl SecretKey {
    /// Makes a key of a secret of any length: all of it counts, none of it is padded away.
    pub fn derive(secret: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"ferrolb mesh v1");
        hash.update(secret);
        let digest: [u8; 32] = hash.finalize().into();
        Self(digest.into())
    }
}

/// Never shows the key.
impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// The keys of one speaker: it seals with one, and opens what was sealed with that or with another.
/// So a cluster changes its key while all hear one another: first everybody learns to open with the new
/// one, then everybody seals with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring {
    seals: SecretKey,
    also_opens: Option<SecretKey>,
}

impl Keyring {
    /// Seals with `seals`, and opens frames of `also_opens` too.
    pub fn new(seals: SecretKey, also_opens: Option<SecretKey>) -> Self {
        Self { seals, also_opens }
    }

    /// The one that seals.
    pub const fn sealing(&self) -> &SecretKey {
        &self.seals
    }

    /// All that open.
    pub fn all(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.seals).chain(&self.also_opens)
    }
}

impl From<SecretKey> for Keyring {
    fn from(only: SecretKey) -> Self {
        Self::new(only, None)
    }
}

/// Seals outgoing frames.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    instance: Instance,
    counter: u64,
}

impl Sealer {
    /// A sealer for one life of one process; `instance` must never be used by another.
    pub fn new(keys: &Keyring, instance: Instance) -> Self {
        Self { cipher: XChaCha20Poly1305::new(&keys.seals.0), instance, counter: 0 }
    }

    /// Seals with `key` from now on.
    pub fn set_key(&mut self, key: &SecretKey) {
        self.cipher = XChaCha20Poly1305::new(&key.0);
    }

    /// The frame that carries `body`.
    pub fn seal(&mut self, body: &[u8]) -> Vec<u8> {
        self.counter += 1;
        let mut frame = Vec::with_capacity(OVERHEAD + body.len());
        frame.push(VERSION);
        frame.extend(FEATURES.to_be_bytes());
        frame.extend(self.instance);
        frame.extend(self.counter.to_be_bytes());
        let payload = Payload { msg: body, aad: &frame };
        let sealed = self.cipher.encrypt(&nonce(&frame), payload);
        frame.extend(sealed.expect("fails only for bodies of 256 GiB and more"));
        frame
    }
}

/// Why a frame was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// Too short to be one.
    Malformed,
    /// Of a version that is not spoken here.
    Version(u8),
    /// Sealed with a key that is not known here, or changed on the way.
    Unsealed,
    /// Seen before, or too old to tell.
    Replayed,
}

/// Opens incoming frames.
pub struct Opener {
    ciphers: Vec<XChaCha20Poly1305>,
    senders: BTreeMap<Instance, Window>,
    /// How many frames were opened.
    opened: u64,
}

impl Opener {
    /// An opener of frames sealed with any of `keys`.
    pub fn new(keys: &Keyring) -> Self {
        let ciphers = keys.all().map(|key| XChaCha20Poly1305::new(&key.0)).collect();
        Self { ciphers, senders: BTreeMap::new(), opened: 0 }
    }

    /// Opens frames sealed with these from now on, and no others.
    pub fn set_keys<'a>(&mut self, keys: impl Iterator<Item = &'a SecretKey>) {
        self.ciphers = keys.map(|key| XChaCha20Poly1305::new(&key.0)).collect();
    }

    /// The body of `frame`.
    ///
    /// # Errors
    /// [`Rejected`]; nothing is remembered of such a frame.
    pub fn open(&mut self, frame: &[u8]) -> Result<Vec<u8>, Rejected> {
        let Some((header, sealed)) = frame.split_at_checked(HEADER) else {
            return Err(Rejected::Malformed);
        };
        if header[0] != VERSION {
            return Err(Rejected::Version(header[0]));
        }
        let open = |cipher: &XChaCha20Poly1305| {
            cipher.decrypt(&nonce(header), Payload { msg: sealed, aad: header }).ok()
        };
        let body = self.ciphers.iter().find_map(open).ok_or(Rejected::Unsealed)?;
        let (instance, counter) = sender(header);
        if !self.senders.contains_key(&instance) && self.senders.len() >= REMEMBERED {
            // Whoever has been silent for longest has most likely ended.
            let silent = self.senders.iter().min_by_key(|(_, window)| window.last);
            let silent = silent.map(|(instance, _)| *instance);
            silent.and_then(|instance| self.senders.remove(&instance));
        }
        self.opened += 1;
        let window = self.senders.entry(instance).or_default();
        window.last = self.opened;
        if window.admit(counter) { Ok(body) } else { Err(Rejected::Replayed) }
    }
}

/// The nonce that a header holds; `header` has at least [`HEADER`] bytes.
fn nonce(header: &[u8]) -> XNonce {
    let mut nonce = [0; 24];
    nonce.copy_from_slice(&header[NONCE]);
    nonce.into()
}

/// The instance and counter that a header of [`HEADER`] bytes holds.
fn sender(header: &[u8]) -> (Instance, u64) {
    let (mut instance, mut counter) = ([0; 16], [0; 8]);
    instance.copy_from_slice(&header[5..21]);
    counter.copy_from_slice(&header[21..29]);
    (instance, u64::from_be_bytes(counter))
}

/// Which of a sender's latest 64 counters have been seen: datagrams may overtake one another.
#[derive(Debug, Default)]
struct Window {
    highest: u64,
    /// Bit n: `highest - n` has been seen.
    seen: u64,
    /// Which of all frames was its last.
    last: u64,
}

impl Window {
    fn admit(&mut self, counter: u64) -> bool {
        if counter > self.highest {
            let ahead = counter - self.highest;
            self.seen = if ahead < 64 { self.seen << ahead | 1 } else { 1 };
            self.highest = counter;
            return true;
        }
        let bit = self.highest - counter;
        let fresh = bit < 64 && self.seen & (1 << bit) == 0;
        if fresh {
            self.seen |= 1 << bit;
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Sealer, Opener) {
        let key = SecretKey::derive(b"secret").into();
        (Sealer::new(&key, [7; 16]), Opener::new(&key))
    }

    #[test]
    fn opens_what_was_sealed_and_hides_it_on_the_way() {
        let (mut sealer, mut opener) = pair();
        let frame = sealer.seal(b"hello");
        assert_eq!(&frame[..5], [VERSION, 0, 0, 0, 0]);
        assert!(!frame.windows(5).any(|part| part == b"hello"));
        assert_eq!(opener.open(&frame).unwrap(), b"hello");
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let (mut sealer, mut opener) = pair();
        let frame = sealer.seal(b"hello");
        for at in 0..frame.len() {
            let mut changed = frame.clone();
            changed[at] ^= 1;
            let expected =
                if at == 0 { Rejected::Version(VERSION ^ 1) } else { Rejected::Unsealed };
            assert_eq!(opener.open(&changed), Err(expected), "byte {at}");
        }
        for length in 0..frame.len() {
            assert!(opener.open(&frame[..length]).is_err(), "cut to {length}");
        }
        assert!(opener.open(&frame).is_ok());
    }

    #[test]
    fn another_key_does_not_open() {
        let mut stranger = Opener::new(&SecretKey::derive(b"another").into());
        assert_eq!(stranger.open(&pair().0.seal(b"hello")), Err(Rejected::Unsealed));
    }

    #[test]
    fn at_every_step_of_a_change_of_keys_all_hear_one_another() {
        let [old, new] = [&b"old"[..], b"new"].map(SecretKey::derive);
        let steps = [
            Keyring::from(old.clone()),
            Keyring::new(old.clone(), Some(new.clone())),
            Keyring::new(new.clone(), Some(old)),
            Keyring::from(new),
        ];
        for neighbours in steps.windows(2) {
            for (from, to) in [(0, 1), (1, 0)] {
                let frame = Sealer::new(&neighbours[from], [7; 16]).seal(b"hello");
                assert_eq!(Opener::new(&neighbours[to]).open(&frame).unwrap(), b"hello");
            }
        }
        let ahead = Sealer::new(&steps[2], [7; 16]).seal(b"hello");
        assert_eq!(Opener::new(&steps[0]).open(&ahead), Err(Rejected::Unsealed), "a step left out");
    }

    #[test]
    fn frames_may_overtake_one_another_and_none_counts_twice() {
        let (mut sealer, mut opener) = pair();
        let frames: Vec<_> = (0..100).map(|n: u8| sealer.seal(&[n])).collect();
        for at in [3, 0, 2, 99, 98, 40] {
            assert!(opener.open(&frames[at]).is_ok(), "{at}");
            assert_eq!(opener.open(&frames[at]), Err(Rejected::Replayed), "{at}");
        }
        assert_eq!(opener.open(&frames[1]), Err(Rejected::Replayed), "too old to tell");
    }

    #[test]
    fn of_too_many_senders_those_are_forgotten_that_are_silent() {
        let (mut living, mut opener) = pair();
        let old = living.seal(b"hello");
        opener.open(&old).unwrap();
        let key = SecretKey::derive(b"secret").into();
        for n in 0..2 * REMEMBERED as u64 {
            let mut instance = [9; 16];
            instance[..8].copy_from_slice(&n.to_be_bytes());
            opener.open(&Sealer::new(&key, instance).seal(b"restarted again")).unwrap();
            if n.is_multiple_of(100) {
                opener.open(&living.seal(b"still there")).unwrap();
            }
        }
        assert_eq!(opener.senders.len(), REMEMBERED);
        assert_eq!(opener.open(&old), Err(Rejected::Replayed));
    }

    #[test]
    fn the_whole_secret_counts() {
        let (a, b) = (SecretKey::derive(&[1; 64]), SecretKey::derive(&[1; 65]));
        assert_ne!(a.0, b.0);
        assert_eq!(format!("{a:?}"), "SecretKey(..)");
    }
}
