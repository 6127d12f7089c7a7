//! The answers of the management API.

use super::super::{
    answer,
    error::ServiceError,
    gate::Granted,
    headers::{REVALIDATE, entity_tags, value},
    query::{Query, encode},
};
use crate::{manage, wire::ResponseBody};
use api::Page;
use http::{Response, StatusCode, header};
use jiff::Timestamp;
use serde::Serialize;
use std::{fmt::Write as _, time::SystemTime};

/// The media type of every answer.
const JSON: &str = "application/json";

/// A part of a list that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct PageQuery {
    /// Maximum number of items.
    pub(in super::super) n: usize,
    /// Starts after this item, which need not exist.
    pub(in super::super) last: Option<String>,
}

impl Granted {
    /// One resource with its entity tag, or 304 if the client has it.
    pub(in super::super) fn resource<T: Serialize>(&self, content: &T) -> Result<Response<ResponseBody>, ServiceError> {
        self.tagged_resource(&entity_tag(content)?, content)
    }

    /// The same with an entity tag that leaves out what changes by itself.
    pub(in super::super) fn tagged_resource<T: Serialize>(
        &self,
        tag: &str,
        content: &T,
    ) -> Result<Response<ResponseBody>, ServiceError> {
        let known = entity_tags(&self.request.head.headers, &header::IF_NONE_MATCH).any(|known| known == tag);
        let mut response = match known {
            true => answer::empty(StatusCode::NOT_MODIFIED),
            false => json(StatusCode::OK, content)?,
        };
        response.headers_mut().insert(header::ETAG, value(format!("\"{tag}\"")));
        Ok(response)
    }

    /// The part of a list that the request asks for.
    ///
    /// # Errors
    /// [`ServiceError::PageSizeInvalid`].
    pub(in super::super) fn page_query(&self) -> Result<PageQuery, ServiceError> {
        let asked = Query::parse(self.request.head.uri.query().unwrap_or_default()).pagination()?;
        let settings = &self.request.live.registry;
        let n = asked.n.filter(|n| *n > 0).unwrap_or(settings.page_default).min(settings.page_max);
        Ok(PageQuery { n, last: asked.last })
    }

    /// A page of a list, with a `Link` to the next one (RFC 8288) that keeps the other parameters of the query.
    pub(in super::super) fn list<T: Serialize>(&self, page: &Page<T>) -> Result<Response<ResponseBody>, ServiceError> {
        let mut response = json(StatusCode::OK, page)?;
        if let Some(next) = &page.next {
            let uri = &self.request.head.uri;
            let mut target = format!("{}?", uri.path());
            for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
                if name != "last" {
                    // Writing to a string cannot fail.
                    let _ = write!(target, "{}={}&", encode(&name), encode(&value));
                }
            }
            target.push_str(&format!("last={}", encode(next)));
            answer::next_page(&mut response, target);
        }
        Ok(response)
    }
}

/// The answer to a request that created a resource: its location and its content.
pub(in super::super) fn created<T: Serialize>(
    location: &str,
    content: &T,
) -> Result<Response<ResponseBody>, ServiceError> {
    let mut response = json(StatusCode::CREATED, content)?;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, value(location));
    headers.insert(header::ETAG, value(format!("\"{}\"", entity_tag(content)?)));
    Ok(response)
}

/// The first `n` of the items that are left, and where the next page begins.
pub(in super::super) fn first_of<T>(rest: impl Iterator<Item = T>, n: usize, key: impl Fn(&T) -> String) -> Page<T> {
    let mut items: Vec<T> = rest.take(n.saturating_add(1)).collect();
    let more = items.len() > n;
    items.truncate(n);
    let next = items.last().filter(|_| more).map(key);
    Page::new(items, next)
}

/// A time as RFC 3339, in UTC and whole seconds.
pub(in super::super) fn rfc3339(time: SystemTime) -> String {
    Timestamp::try_from(time).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An answer with this status and JSON body, which is private to the caller and may change at any time.
pub(in super::super) fn json<T: Serialize>(
    status: StatusCode,
    content: &T,
) -> Result<Response<ResponseBody>, ServiceError> {
    let mut response = answer::json(serialized(content)?, JSON);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, REVALIDATE);
    Ok(response)
}

/// The entity tag of a resource, without quotes: a hash of its JSON. Two resources of one file have different tags, so
/// that two editors do not collide.
pub(in super::super) fn entity_tag<T: Serialize>(content: &T) -> Result<String, ServiceError> {
    Ok(manage::entity_tag(content))
}

fn serialized<T: Serialize>(content: &T) -> Result<Vec<u8>, ServiceError> {
    // Only maps whose keys are no strings fail, and the API has none.
    serde_json::to_vec(content).map_err(|_| ServiceError::Panicked)
}
