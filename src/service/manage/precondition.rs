//! Conditional writes: `If-Match` and `If-None-Match` (RFC 9110 §13.1).

use super::super::{gate::Granted, headers::entity_tags};
use crate::manage::Precondition;
use http::header;

impl Granted {
    /// The precondition of this request.
    pub(in super::super) fn precondition(&self) -> Precondition {
        let headers = &self.request.head.headers;
        let tags = |name| entity_tags(headers, name).map(str::to_owned).collect::<Vec<_>>();
        match (tags(&header::IF_MATCH), tags(&header::IF_NONE_MATCH)) {
            (wanted, _) if !wanted.is_empty() => Precondition::Matches(wanted),
            (_, unwanted) if unwanted.iter().any(|tag| tag == "*") => Precondition::Absent,
            _ => Precondition::None,
        }
    }
}
