//! Lists that come in pages: tags and repositories.

use crate::{
    Client, Error,
    error::{ErrorCause, ErrorKind},
    headers,
    login::Scopes,
    manifest::pull,
    transport::{Call, Whole},
    url,
};
use futures_util::{Stream, StreamExt, stream};
use http::{Method, StatusCode, Uri};
use oci::{RepositoryName, Tag};
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// As many entries at a time; the registry may give fewer. Without it, what the registry likes.
    pub size: Option<u32>,
    /// Only what comes after this entry.
    pub after: Option<String>,
}

/// A list, fetched page by page.
pub struct Pages<T> {
    client: Client,
    next: Option<Uri>,
    scopes: Scopes,
    operation: String,
    read: fn(&[u8]) -> Result<Vec<T>, ErrorCause>,
}

impl Client {
    /// The tags of a repository, in the registry's order.
    pub fn tags(&self, repository: &RepositoryName, page: &PageRequest) -> Pages<Tag> {
        let operation = format!("list tags of {}/{repository}", self.registry());
        self.pages(&format!("/v2/{repository}/tags/list"), page, pull(repository), operation, read_tags)
    }

    /// The repositories of the registry, as far as it lists them to the caller.
    pub fn catalog(&self, page: &PageRequest) -> Pages<RepositoryName> {
        let operation = format!("list repositories of {}", self.registry());
        self.pages("/v2/_catalog", page, Scopes::catalog(), operation, read_catalog)
    }

    fn pages<T>(
        &self,
        path: &str,
        page: &PageRequest,
        scopes: Scopes,
        operation: String,
        read: fn(&[u8]) -> Result<Vec<T>, ErrorCause>,
    ) -> Pages<T> {
        let size = page.size.map(|size| size.to_string());
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        pairs.extend(size.as_deref().map(|size| ("n", size)));
        pairs.extend(page.after.as_deref().map(|after| ("last", after)));
        let next = self.url(path).ok().and_then(|url| url::with_query(&url, &pairs).ok());
        Pages { client: self.clone(), next, scopes, operation, read }
    }

    /// The page after this one, if there is one. Only the registry itself may have it.
    pub(crate) fn page_after(&self, answer: &Whole) -> Result<Option<Uri>, ErrorCause> {
        let Some(link) = headers::next_link(&answer.headers) else { return Ok(None) };
        let next = self.locate(&answer.url, link)?;
        if !self.registry().is_own(&next) {
            let detail = format!("the next page is said to be at another host, {}", url::shown(&next));
            return Err(ErrorCause::new(ErrorKind::Refused, detail));
        }
        if next == answer.url {
            return Err(ErrorCause::protocol("the next page is said to be this one"));
        }
        Ok(Some(next))
    }
}

impl<T> Pages<T> {
    /// The next page; `None` after the last. A page can be empty.
    ///
    /// # Errors
    /// If it cannot be fetched or read. The same page is then fetched by the next call.
    pub async fn next_page(&mut self) -> Result<Option<Vec<T>>, Error> {
        let Some(url) = self.next.clone() else { return Ok(None) };
        match self.fetch(url).await {
            Ok((page, next)) => {
                self.next = next;
                Ok(Some(page))
            }
            Err(fault) => Err(fault.during(self.operation.clone())),
        }
    }

    async fn fetch(&self, url: Uri) -> Result<(Vec<T>, Option<Uri>), ErrorCause> {
        let answer = self.client.read(&Call::new(Method::GET, url), &self.scopes).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.fault());
        }
        Ok(((self.read)(&answer.bytes)?, self.client.page_after(&answer)?))
    }

    /// Each entry, over all pages. Ends after the first error.
    pub fn entries(self) -> impl Stream<Item = Result<T, Error>> {
        let pages = stream::unfold(Some(self), |pages| async {
            let mut pages = pages?;
            match pages.next_page().await {
                Ok(page) => page.map(|page| (Ok(page), Some(pages))),
                Err(error) => Some((Err(error), None)),
            }
        });
        pages.flat_map(|page| {
            let (entries, error) = match page {
                Ok(entries) => (entries, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            stream::iter(entries.into_iter().map(Ok).chain(error.map(Err)))
        })
    }
}

fn read_tags(body: &[u8]) -> Result<Vec<Tag>, ErrorCause> {
    #[derive(serde::Deserialize)]
    struct Tags {
        tags: Option<Vec<String>>,
    }
    parsed(json::<Tags>(body)?.tags)
}

fn read_catalog(body: &[u8]) -> Result<Vec<RepositoryName>, ErrorCause> {
    #[derive(serde::Deserialize)]
    struct CatalogPage {
        repositories: Option<Vec<String>>,
    }
    parsed(json::<CatalogPage>(body)?.repositories)
}

pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ErrorCause> {
    let read = oci::json::from_slice(body);
    read.map_err(|error| {
        ErrorCause::protocol(format!("the answer cannot be read: {}", crate::text::shown(&error.to_string())))
    })
}

/// Go writes an empty list as `null`.
fn parsed<T: FromStr>(texts: Option<Vec<String>>) -> Result<Vec<T>, ErrorCause> {
    let parse = |text: String| {
        text.parse()
            .map_err(|_| ErrorCause::protocol(format!("the list has an invalid name, {}", crate::text::shown(&text))))
    };
    texts.unwrap_or_default().into_iter().map(parse).collect()
}
