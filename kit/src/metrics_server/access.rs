//! What is known of the tokens that were shown, and what to ask next. Pure: the time is an argument.
//!
//! What the API server says counts for as long as in MetalLB, and where it cannot be asked, what it
//! said last counts for longer: metrics are wanted most while something is broken.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::UserInfo;
use sha2::{Digest as _, Sha256};

/// How long a token is whose the API server said it is, or nobody's.
const IDENTITY: Duration = Duration::from_mins(1);

/// How long somebody may who might.
const ALLOWED: Duration = Duration::from_mins(5);

/// How long somebody may not who might not.
const DENIED: Duration = Duration::from_secs(30);

/// How long somebody who might still may where the API server cannot be asked.
const LAST_WORD: Duration = Duration::from_hours(1);

/// How many tokens are remembered. A cluster has a handful of scrapers; the rest is guesses, which
/// are forgotten first.
const TOKENS: usize = 256;

/// A token's fingerprint: the token itself is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// That of `token`.
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// What is to happen to a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// It is answered.
    Serve,
    /// Nobody has that token.
    Unauthenticated,
    /// Its owner may not.
    Forbidden,
    /// The API server is to be asked whose token it is.
    Identify,
    /// It is to be asked whether this user may.
    Authorise(UserInfo),
}

/// The tokens that were shown.
#[derive(Debug, Default)]
pub(super) struct Access {
    tokens: HashMap<Fingerprint, Token>,
}

#[derive(Debug)]
struct Token {
    /// Whose it is; `None`: nobody's.
    owner: Option<UserInfo>,
    identified: Duration,
    /// Whether the owner may, and when that was said.
    may: Option<(bool, Duration)>,
}

impl Token {
    fn is_allowed(&self) -> bool {
        self.owner.is_some() && self.may.is_some_and(|(may, _)| may)
    }
}

impl Access {
    /// What is to happen to a request with this token. `now` is the time since any fixed moment.
    pub(super) fn next(&self, token: Fingerprint, now: Duration) -> Next {
        let Some(known) = self.tokens.get(&token) else { return Next::Identify };
        if is_over(known.identified, IDENTITY, now) {
            return Next::Identify;
        }
        let Some(owner) = &known.owner else { return Next::Unauthenticated };
        match known.may {
            Some((true, since)) if !is_over(since, ALLOWED, now) => Next::Serve,
            Some((false, since)) if !is_over(since, DENIED, now) => Next::Forbidden,
            Some(_) | None => Next::Authorise(owner.clone()),
        }
    }

    /// Whether the request is served where the API server could not be asked.
    pub(super) fn had_the_last_word(&self, token: Fingerprint, now: Duration) -> bool {
        let served = |known: &Token| {
            let (_, since) = known.may.filter(|_| known.is_allowed())?;
            Some(!is_over(since.max(known.identified), LAST_WORD, now))
        };
        self.tokens.get(&token).and_then(served).unwrap_or(false)
    }

    /// The API server said whose the token is; `None`: nobody's.
    pub(super) fn identified(
        &mut self,
        token: Fingerprint,
        owner: Option<UserInfo>,
        now: Duration,
    ) {
        let former = self.tokens.remove(&token);
        // What that user may is asked again in its own time.
        let may = former.filter(|former| former.owner == owner).and_then(|former| former.may);
        self.make_room();
        self.tokens.insert(token, Token { owner, identified: now, may });
    }

    /// The API server said whether `owner`, whose the token is, may.
    pub(super) fn authorised(
        &mut self,
        token: Fingerprint,
        owner: &UserInfo,
        may: bool,
        now: Duration,
    ) {
        let known = self.tokens.get_mut(&token);
        if let Some(known) = known.filter(|known| known.owner.as_ref() == Some(owner)) {
            known.may = Some((may, now));
        }
    }

    /// Forgets the least useful token where there are too many: guesses before those of users, these
    /// before those that are served, the oldest first.
    fn make_room(&mut self) {
        if self.tokens.len() < TOKENS {
            return;
        }
        let use_of = |token: &Token| (token.is_allowed(), token.owner.is_some(), token.identified);
        let least = self.tokens.iter().min_by_key(|(print, token)| (use_of(token), **print));
        if let Some(least) = least.map(|(print, _)| *print) {
            self.tokens.remove(&least);
        }
    }
}

fn is_over(since: Duration, length: Duration, now: Duration) -> bool {
    now.saturating_sub(since) >= length
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn user(name: &str) -> UserInfo {
        UserInfo { username: Some(name.to_owned()), ..UserInfo::default() }
    }

    /// Just before `end`.
    fn before(end: Duration) -> Duration {
        end.saturating_sub(SECOND)
    }

    /// Somebody who may, by the word of the API server at the time zero.
    fn allowed(access: &mut Access, token: Fingerprint) {
        access.identified(token, Some(user("a")), Duration::ZERO);
        access.authorised(token, &user("a"), true, Duration::ZERO);
    }

    #[test]
    fn a_new_token_is_identified_authorised_and_served() {
        let (mut access, token) = (Access::default(), Fingerprint::of("t"));
        assert_eq!(access.next(token, SECOND), Next::Identify);
        access.identified(token, Some(user("a")), SECOND);
        assert_eq!(access.next(token, SECOND), Next::Authorise(user("a")));
        access.authorised(token, &user("a"), true, SECOND);
        assert_eq!(access.next(token, SECOND), Next::Serve);
        assert_eq!(access.next(Fingerprint::of("u"), SECOND), Next::Identify);
    }

    #[test]
    fn nobodys_token_is_refused_for_a_minute() {
        let (mut access, token) = (Access::default(), Fingerprint::of("t"));
        access.identified(token, None, Duration::ZERO);
        assert_eq!(access.next(token, before(IDENTITY)), Next::Unauthenticated);
        assert_eq!(access.next(token, IDENTITY), Next::Identify);
        assert!(!access.had_the_last_word(token, SECOND));
    }

    #[test]
    fn who_may_may_for_five_minutes_and_who_may_not_not_for_half_a_one() {
        let (mut access, token) = (Access::default(), Fingerprint::of("t"));
        allowed(&mut access, token);
        // Identified again each minute, which does not prolong what was said about rights.
        for minute in 1..5 {
            let now = minute * IDENTITY;
            assert_eq!(access.next(token, now), Next::Identify);
            access.identified(token, Some(user("a")), now);
            assert_eq!(access.next(token, now), Next::Serve);
        }
        access.identified(token, Some(user("a")), ALLOWED);
        assert_eq!(access.next(token, ALLOWED), Next::Authorise(user("a")));
        access.authorised(token, &user("a"), false, ALLOWED);
        assert_eq!(access.next(token, before(ALLOWED + DENIED)), Next::Forbidden);
        assert_eq!(access.next(token, ALLOWED + DENIED), Next::Authorise(user("a")));
    }

    #[test]
    fn a_token_that_is_anothers_now_takes_no_rights_along() {
        let (mut access, token) = (Access::default(), Fingerprint::of("t"));
        allowed(&mut access, token);
        access.identified(token, Some(user("b")), SECOND);
        assert_eq!(access.next(token, SECOND), Next::Authorise(user("b")));
        access.authorised(token, &user("a"), true, SECOND);
        assert_eq!(access.next(token, SECOND), Next::Authorise(user("b")));
        access.identified(token, None, SECOND);
        assert_eq!(access.next(token, SECOND), Next::Unauthenticated);
    }

    #[test]
    fn without_the_api_server_its_last_word_counts_for_an_hour_if_it_was_yes() {
        let (mut access, token) = (Access::default(), Fingerprint::of("t"));
        assert!(!access.had_the_last_word(token, SECOND));
        allowed(&mut access, token);
        assert!(access.had_the_last_word(token, before(LAST_WORD)));
        assert!(!access.had_the_last_word(token, LAST_WORD));
        access.authorised(token, &user("a"), false, SECOND);
        assert!(!access.had_the_last_word(token, SECOND));
    }

    #[test]
    fn a_flood_of_guesses_drives_out_nobody_who_is_served() {
        let (mut access, token) = (Access::default(), Fingerprint::of("t"));
        allowed(&mut access, token);
        for guess in 0..2 * TOKENS {
            access.identified(Fingerprint::of(&guess.to_string()), None, SECOND);
        }
        assert_eq!(access.tokens.len(), TOKENS);
        assert_eq!(access.next(token, SECOND), Next::Serve);
    }
}
