//! Who may do what in a repository, and what decides that.

use super::super::super::{error::ServiceError, gate::Granted};
use super::super::reply::first_of;
use crate::{
    access::{Ceiling, RepositoryFacts, Rights},
    identity::Identity,
    who::{Action, Subject},
    wire::ResponseBody,
};
use api::repositories::{AccessItem, AccessReason};
use http::Response;
use oci::RepositoryName;
use std::collections::BTreeSet;

/// `GET …/-/access`: everybody that a file or a fact names.
pub(super) async fn list(granted: &Granted, name: &RepositoryName) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let live = &granted.request.live;
    let facts = granted.repository(name).facts().await;
    let mut subjects: BTreeSet<&str> = match &live.identity {
        Identity::Password { users, .. } => users.after(None).map(|(name, _)| name).collect(),
        Identity::OwnTokens(service) => service.users.after(None).map(|(name, _)| name).collect(),
        Identity::Nobody | Identity::ExternalTokens { .. } => BTreeSet::new(),
    };
    if let Rights::Rules { policy, .. } = &*live.rights {
        subjects.extend(policy.users().map(|(user, _)| user));
    }
    subjects.extend(facts.owner.as_deref());
    subjects.insert("anonymous");
    let last = page.last.as_deref().unwrap_or_default();
    let rest = subjects.into_iter().filter(|who| *who > last);
    let items = first_of(rest.map(|who| item(&live.rights, who, name, &facts)), page.n, |item| item.who.clone());
    granted.list(&items)
}

fn item(rights: &Rights, who: &str, name: &RepositoryName, facts: &RepositoryFacts) -> AccessItem {
    let subject = match who {
        // No user can have this name.
        "anonymous" => Subject::Anonymous,
        user => Subject::User(user.into()),
    };
    let reasons: Vec<AccessReason> = Action::ALL
        .into_iter()
        .map(|action| {
            let verdict = rights.decide(&subject, &Ceiling::None, name, action, facts);
            AccessReason {
                action: action.to_string(),
                allowed: verdict.allowed,
                step: verdict.step.to_string(),
                reason: verdict.reason.to_string(),
            }
        })
        .collect();
    let actions = reasons.iter().filter(|reason| reason.allowed).map(|reason| reason.action.clone()).collect();
    AccessItem { who: who.to_owned(), actions, reasons }
}
