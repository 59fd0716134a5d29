//! The objects that mean the same as the old pools.

use super::finding::{Caution, Fault, Findings, Place};
use super::legacy::{Pool, Protocol};
use super::name::{Unfit, object_name};

/// The objects to be, in the order of the input.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Objects<'a> {
    pub(super) pools: Vec<NewPool<'a>>,
    pub(super) advertisements: Vec<NewAdvertisement>,
}

/// An IPAddressPool.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NewPool<'a> {
    pub(super) name: String,
    pub(super) from: &'a Pool,
}

/// An L2Advertisement of one pool.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NewAdvertisement {
    pub(super) name: String,
    pub(super) pool: String,
}

/// Converts those of `pools` for which there is a name.
pub(super) fn convert<'a>(pools: &'a [Pool], findings: &mut Findings) -> Objects<'a> {
    let mut objects = Objects::default();
    for pool in pools {
        if pool.protocol == Some(Protocol::Bgp) {
            findings.warn(Place::of(&pool.place, "protocol"), Caution::BgpPool);
        }
        let Some(name) = name(pool, &objects, findings) else { continue };
        if pool.protocol == Some(Protocol::Layer2) {
            let number = objects.advertisements.len() + 1;
            let advertisement =
                NewAdvertisement { name: format!("l2advertisement{number}"), pool: name.clone() };
            objects.advertisements.push(advertisement);
        }
        objects.pools.push(NewPool { name, from: pool });
    }
    objects
}

/// The name of the object for `pool`, which none of the `objects` before it may have.
fn name(pool: &Pool, objects: &Objects<'_>, findings: &mut Findings) -> Option<String> {
    let old = pool.place.name.clone()?;
    let place = Place::of(&pool.place, "name");
    let made = match object_name(&old) {
        Ok(made) => made,
        Err(Unfit::NoLetter) => {
            findings.reject(place, Fault::NoLetter(old));
            return None;
        }
        Err(Unfit::StillBad(made)) => {
            findings.reject(place, Fault::BadName(old, made));
            return None;
        }
    };
    if let Some(before) = objects.pools.iter().find(|before| before.name == made) {
        let other = before.from.place.clone();
        let is_same = other.name.as_ref() == Some(&old);
        let fault =
            if is_same { Fault::SameName { other } } else { Fault::NamesMeet { made, other } };
        findings.reject(place, fault);
        return None;
    }
    if made != old {
        findings.warn(place, Caution::Renamed(old, made.clone()));
    }
    Some(made)
}
