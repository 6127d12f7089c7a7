//! Search for repositories, tags and digests, among what the caller may see.
//!
//! The answer is in the order of repositories. What callers may see is in memory, and so are the names in it as far as a
//! repository has few: only where something may be found is read.

use super::super::{
    answer::Answering,
    endpoint::{Family, Methods, Need, RequestLine},
    error::{ApiError, ServiceError},
    gate::Granted,
};
use super::{
    operation::Operation,
    repositories::invalid,
    seen::{SeenRepository, seen},
};
use crate::{registry::Repository, who::Action, wire::ResponseBody};
use api::{Page, repositories::SearchResult};
use http::Response;
use memchr::memmem::Finder;
use oci::{Digest, RepositoryName};

pub(super) const OPERATIONS: &[Operation] =
    &[Operation::list::<SearchResult>("/search", "search", "Search for repositories, tags and digests.").with_query(
        &[
            ("n", "Maximum number of items."),
            ("last", "`next` of the page before."),
            ("q", "The text to look for: part of a name, or at least six digits of a digest."),
            ("kind", "Only `repository`, `tag` or `digest`."),
        ],
    )];

/// The shortest beginning of a digest that is looked for.
const LEAST_DIGITS: usize = 6;

/// Repositories that one request reads: a page may be short, or even empty, and have a next one.
const MOST_READ: usize = 500;

/// Results in one repository: the rest is in its own list.
const MOST_EACH: usize = 20;

/// Repositories that are looked at between two chances for others.
const TOGETHER: usize = 4000;

/// A request to search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchEndpoint {
    /// `GET /search`.
    Search,
}

impl SearchEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        match line.segments {
            ["search"] if line.is_read() => Ok(Self::Search),
            ["search"] => Err(ServiceError::MethodNotAllowed(Methods::READ)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

impl Family for SearchEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::Search => "search",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::Search => Need::Sight,
        }
    }

    fn methods(&self) -> Methods {
        Methods::READ
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move { search(&granted).await })
    }
}

/// What to look for.
struct SearchQuery {
    text: String,
    /// The same, ready to be found in very many texts.
    in_tags: Finder<'static>,
    /// In lower case, as names of repositories are.
    in_names: Finder<'static>,
    repositories: bool,
    tags: bool,
    digests: bool,
}

impl SearchQuery {
    fn of(granted: &Granted) -> Result<Self, ServiceError> {
        let asked = granted.parameters();
        let text = asked.first("q").ok_or_else(|| invalid("q", "is missing: say what to look for"))?.to_owned();
        let (kind, is_digest) = (asked.first("kind"), hex_of(&text).is_some());
        let wants = |word: &str| kind.is_none_or(|kind| kind == word);
        if !["repository", "tag", "digest"].iter().any(|word| wants(word)) {
            return Err(invalid("kind", "must be repository, tag or digest"));
        }
        Ok(Self {
            repositories: wants("repository"),
            tags: wants("tag") && !text.contains(':'),
            digests: wants("digest") && is_digest,
            in_tags: Finder::new(&text).into_owned(),
            in_names: Finder::new(&text.to_lowercase()).into_owned(),
            text,
        })
    }

    /// Whether the name of a repository is what was looked for.
    fn finds_name(&self, one: &SeenRepository) -> bool {
        self.repositories && self.in_names.find(one.name.as_str().as_bytes()).is_some()
    }

    /// Whether something may be found in a repository; `false` is certain.
    fn may_find_in(&self, one: &SeenRepository) -> bool {
        let names = &one.outline.names;
        (self.tags && names.may_have_tag(&self.in_tags))
            || (self.digests && hex_of(&self.text).is_some_and(|(_, digits)| names.may_have_digest(digits)))
    }

    /// What is found in one repository.
    async fn results(&self, repository: &Repository) -> Result<Vec<SearchResult>, ServiceError> {
        let name = repository.name();
        let mut results = Vec::new();
        if self.tags {
            for tag in repository.tag_names(&self.text).await?.into_iter().take(MOST_EACH) {
                let digest = repository.readable_tag(&tag).await?.map(|(digest, _)| digest);
                results.push(result("tag", name, Some(tag.to_string()), digest));
            }
        }
        if self.digests
            && let Some((algorithm, digits)) = hex_of(&self.text)
        {
            let found = repository.digests_beginning_with(algorithm, digits, MOST_EACH).await?;
            results.extend(found.into_iter().map(|digest| result("digest", name, None, Some(digest))));
        }
        Ok(results)
    }
}

/// The algorithm, if it is said, and the beginning of the hexadecimal digits of a digest.
fn hex_of(text: &str) -> Option<(Option<&str>, &str)> {
    let (algorithm, digits) = match text.split_once(':') {
        Some((algorithm, digits)) => (Some(algorithm), digits),
        None => (None, text),
    };
    let is_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_hex && digits.len() >= LEAST_DIGITS).then_some((algorithm, digits))
}

fn result(kind: &str, repository: &RepositoryName, tag: Option<String>, digest: Option<Digest>) -> SearchResult {
    let digest = digest.map(|digest| digest.to_string());
    SearchResult { kind: kind.to_owned(), repository: repository.to_string(), tag, digest }
}

async fn search(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let (page, query) = (granted.page_query()?, SearchQuery::of(granted)?);
    let seen = seen(granted).await?;
    let (mut items, mut read, mut last) = (Vec::new(), 0, None);
    for together in seen.after(page.last.as_deref()).chunks(TOGETHER) {
        for one in together {
            let (by_name, may_find) = (query.finds_name(one), query.may_find_in(one));
            if !by_name && !may_find {
                continue;
            }
            // A repository's results stay together, so a page may be a little longer than asked for.
            if items.len() >= page.n || read == MOST_READ {
                return granted.list(&Page::new(items, last).incomplete(seen.is_incomplete));
            }
            last = Some(one.name.to_string());
            read += usize::from(may_find);
            let repository = granted.repository(&one.name);
            // Another process may have made it private since.
            if !granted.may(Action::Pull, &one.name).await {
                continue;
            }
            items.extend(by_name.then(|| result("repository", &one.name, None, None)));
            if may_find {
                items.extend(query.results(&repository).await?);
            }
        }
        tokio::task::yield_now().await;
    }
    granted.list(&Page::new(items, None).incomplete(seen.is_incomplete))
}
