//! What a store cannot keep where several replicas write to it and no write can have a condition.

use crate::{config::Live, storage::objects::ObjectAbilities};

/// Whether a configuration has a setting switched on.
type IsOn = fn(&Live) -> bool;

/// Settings that need conditions, and how a message calls them.
const NEEDS: &[(IsOn, &str)] = &[
    (|live| !live.registry.immutable.is_empty(), "immutable tags ([[immutable]])"),
    (|live| live.registration.is_open, "registration.open"),
    (|live| live.require_if_match, "management.require_if_match"),
    (|live| live.registry.owner_on_push, "repositories.owner_on_push"),
];

/// What `check` and the log of a start say of a bucket without conditions.
const WITHOUT: &str = "without conditional writes there are no immutable tags, no If-Match, no registration, no owners \
                       and settings of repositories, no sessions and API keys, and no artifacts";

/// Whether of two replicas that write on the same condition one wins.
pub(super) fn has_conditions(abilities: ObjectAbilities) -> bool {
    abilities.put_absent && abilities.put_match
}

/// What the probe of a bucket found, and what that means.
pub(super) fn in_words(abilities: ObjectAbilities, found: Vec<String>) -> Vec<String> {
    let without = (!has_conditions(abilities)).then(|| WITHOUT.to_owned());
    found.into_iter().chain(without).collect()
}

/// Refuses settings that a store cannot keep.
///
/// # Errors
/// A sentence that names them.
pub fn check_conditions(has_conditions: bool, live: &Live) -> Result<(), String> {
    let needed: Vec<_> =
        NEEDS.iter().filter(|(needs, _)| !has_conditions && needs(live)).map(|(_, what)| *what).collect();
    match needed.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "the storage has no conditional writes, so of two replicas both could win; this cannot be kept there: {}",
            needed.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_store_without_conditions_is_refused_with_what_needs_them() {
        let mut live = Live::default();
        assert_eq!(check_conditions(false, &live), Ok(()));
        live.registration.is_open = true;
        live.require_if_match = true;
        let mut registry = live.registry.as_ref().clone();
        registry.owner_on_push = true;
        live.registry = Arc::new(registry);
        let refused = check_conditions(false, &live).unwrap_err();
        for needed in ["registration.open", "management.require_if_match", "repositories.owner_on_push"] {
            assert!(refused.contains(needed), "{refused}");
        }
        assert_eq!(check_conditions(true, &live), Ok(()));
    }

    #[test]
    fn what_a_bucket_without_conditions_means_is_said() {
        let all = ObjectAbilities::ALL;
        assert_eq!(in_words(all, vec!["found".into()]), ["found"]);
        let words = in_words(ObjectAbilities { put_match: false, ..all }, vec!["found".into()]);
        assert_eq!(words, ["found", WITHOUT]);
    }
}
