//! What a keeper knows of the objects it writes: from its watches, and from the answers to its writes,
//! in either order; the newer state stays.

use k8s_openapi::api::core::v1::Secret;
use kit::feed::Change;
use kube::Resource;

use super::Material;
use super::Place;

/// The Secret as last seen.
pub(super) enum Seen {
    /// Never.
    Unknown,
    /// There is none.
    Absent,
    /// Its version, and what is in it.
    There(Option<String>, Option<Material>),
}

impl Seen {
    pub(super) fn of(secret: &Secret) -> Self {
        let data = secret.data.as_ref();
        let material = Material::read(|key| Some(data?.get(key)?.0.as_slice()));
        Self::There(secret.metadata.resource_version.clone(), material)
    }

    /// Takes in a change of the Secret.
    pub(super) fn take(&mut self, change: &Change<Secret>) {
        let found = match change {
            Change::Reset { objects, .. } => objects.first().map_or(Self::Absent, Self::of),
            Change::Put(secret) => Self::of(secret),
            Change::Gone(_) => Self::Absent,
            Change::Unreadable(bad) => Self::There(bad.metadata.resource_version.clone(), None),
        };
        let is_late = match (change, &found, &*self) {
            (Change::Put(_), Self::There(new, _), Self::There(known, _)) => {
                is_older(new.as_ref(), known.as_ref())
            }
            _ => false,
        };
        if !is_late {
            *self = found;
        }
    }
}

/// Takes in a change of an object that trust is written into.
pub(super) fn take<K: Resource>(
    known: &mut Option<Place>,
    change: &Change<K>,
    place: impl Fn(&K) -> Place,
) {
    let found = match change {
        Change::Reset { objects, .. } => objects.first().map(place).unwrap_or_default(),
        Change::Put(object) => place(object),
        Change::Gone(_) => Place::default(),
        // Trust cannot be written into what cannot be read; what was known stays known.
        Change::Unreadable(_) => return,
    };
    // A watch may tell late what was overtaken by a write of ours.
    let is_late = matches!(change, Change::Put(_))
        && known
            .as_ref()
            .is_some_and(|known| is_older(found.version.as_ref(), known.version.as_ref()));
    if !is_late {
        *known = Some(found);
    }
}

fn is_older(version: Option<&String>, known: Option<&String>) -> bool {
    let number = |version: Option<&String>| version.and_then(|text| text.parse::<u64>().ok());
    number(version).zip(number(known)).is_some_and(|(version, known)| version < known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(version: &str) -> Secret {
        let mut secret = Secret::default();
        secret.metadata.resource_version = Some(version.to_owned());
        secret
    }

    #[test]
    fn what_a_watch_tells_late_does_not_undo_what_a_write_said() {
        let mut seen = Seen::of(&secret("10"));
        let version = |seen: &Seen| match seen {
            Seen::There(version, _) => version.clone(),
            Seen::Unknown | Seen::Absent => None,
        };
        seen.take(&Change::Put(secret("9")));
        assert_eq!(version(&seen).as_deref(), Some("10"));
        seen.take(&Change::Put(secret("11")));
        assert_eq!(version(&seen).as_deref(), Some("11"));
        seen.take(&Change::Gone(Box::default()));
        assert_eq!(version(&seen), None);

        let place = |object: &Secret| Place {
            version: object.metadata.resource_version.clone(),
            entries: Vec::new(),
        };
        let mut known = Some(place(&secret("10")));
        take(&mut known, &Change::Put(secret("9")), place);
        assert_eq!(known, Some(place(&secret("10"))));
        take(&mut known, &Change::Put(secret("11")), place);
        assert_eq!(known, Some(place(&secret("11"))));
    }
}
