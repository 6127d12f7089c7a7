//! Pushes of blobs, in every way that the protocol has.

use crate::{
    content::Content,
    push::Pusher,
    world::{Asked, World},
};
use bytes::Bytes;
use http::Method;

/// The state of an upload, as its client sees it.
enum Standing {
    /// The daemon has this many bytes.
    At(usize),
    /// The session is over.
    Over,
}

impl Pusher {
    /// Makes sure that a repository has a blob: checks whether it exists if the client `asks`, and pushes it until the
    /// push is acknowledged.
    pub async fn ensure_blob(&mut self, repository: &'static str, content: &Content, mut asks: bool) {
        loop {
            if asks {
                match is_there(&self.world, repository, content).await {
                    Some(true) => return,
                    Some(false) => {}
                    None => continue,
                }
            }
            let is_done = match self.dice.below(10) {
                0..4 => self.whole(repository, content).await,
                4 => self.in_two(repository, content).await,
                5 => self.repeated(repository, content).await,
                6..8 => self.in_chunks(repository, content).await,
                _ => self.mounted(repository, content).await,
            };
            if is_done {
                self.world.tally.one("blobs pushed or mounted");
                return;
            }
            asks = true;
        }
    }

    /// One `POST` with everything.
    async fn whole(&mut self, repository: &str, content: &Content) -> bool {
        let target = format!("/v2/{repository}/blobs/uploads/?digest={}", content.digest);
        let asked = self.world.ask(Method::POST, &target, content.bytes()).await;
        is_created(asked, content)
    }

    /// A session, and all bytes with the closing request.
    async fn in_two(&mut self, repository: &str, content: &Content) -> bool {
        match self.begin(repository).await {
            Some(location) => self.end(&location, content, 0).await,
            None => false,
        }
    }

    async fn begin(&mut self, repository: &str) -> Option<String> {
        let asked = self.world.ask(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), "").await?;
        match asked.status() {
            202 => Some(asked.reply.header("location").to_owned()),
            _ => asked.unexpected("no session"),
        }
    }

    /// Closes a session that has `at` bytes with the rest.
    async fn end(&mut self, location: &str, content: &Content, at: usize) -> bool {
        let target = format!("{location}?digest={}", content.digest);
        let asked = self.world.ask(Method::PUT, &target, content.bytes().slice(at..)).await;
        is_created(asked, content)
    }

    /// A session with chunks; after a kill the client continues at the offset of the session.
    async fn in_chunks(&mut self, repository: &str, content: &Content) -> bool {
        let Some(location) = self.begin(repository).await else { return false };
        // The chunks have a `Content-Range`, so the offset in the location is not needed.
        let location = location.rsplit_once('.').map_or(location.clone(), |(by_id, _)| by_id.to_owned());
        let (bytes, mut at) = (content.bytes(), 0);
        // The first chunk has at least two bytes: `Range: 0-0` means one byte or none.
        let last = Some(self.dice.below(content.len + 1)).filter(|last| *last > 1).unwrap_or(0);
        while at < last {
            let end = (at + 2 + self.dice.below(64 << 10)).min(last);
            match self.patch(&location, at, bytes.slice(at..end)).await {
                true => at = end,
                false => match self.standing(&location, at, end).await {
                    Standing::At(stands) => at = stands,
                    Standing::Over => panic!("{location}: the session is gone although nobody closed it"),
                },
            }
        }
        if self.end(&location, content, at).await {
            return true;
        }
        // The state of the session shows whether the closing request succeeded.
        match self.standing(&location, at, content.len).await {
            Standing::At(at) => self.end(&location, content, at).await,
            Standing::Over => false,
        }
    }

    /// A session whose requests are repeated unchanged until each gets a response.
    async fn repeated(&mut self, repository: &str, content: &Content) -> bool {
        let Some(mut location) = self.begin(repository).await else { return false };
        let (bytes, mut at) = (content.bytes(), 0);
        // At least two bytes, as for chunks.
        let last = Some(self.dice.below(content.len + 1)).filter(|last| *last > 1).unwrap_or(0);
        while at < last {
            let end = (at + 2 + self.dice.below(64 << 10)).min(last);
            let asked = loop {
                match self.world.ask(Method::PATCH, &location, bytes.slice(at..end)).await {
                    Some(asked) => break asked,
                    None => self.world.tally.one("uploads repeated after a kill"),
                }
            };
            match asked.status() {
                // 416: the first one was acknowledged, and its response was lost.
                202 | 416 if stands_at(&asked) == end => {}
                _ => asked.unexpected("a repeated chunk was not accepted"),
            }
            (location, at) = (asked.reply.header("location").to_owned(), end);
        }
        let target = format!("{location}?digest={}", content.digest);
        loop {
            match self.world.ask(Method::PUT, &target, bytes.slice(at..)).await {
                None => self.world.tally.one("uploads repeated after a kill"),
                // The session was closed, and its blob has been collected since.
                Some(asked) if asked.status() == 404 => return false,
                asked => return is_created(asked, content),
            }
        }
    }

    /// Sends a chunk; returns whether it was acknowledged.
    async fn patch(&mut self, location: &str, at: usize, piece: Bytes) -> bool {
        let (range, end) = (format!("{at}-{}", at + piece.len() - 1), at + piece.len());
        match self.world.ask_with(Method::PATCH, location, &[("content-range", &range)], piece).await {
            None => false,
            Some(asked) if asked.status() == 202 && stands_at(&asked) == end => true,
            Some(asked) => asked.unexpected("a chunk in order was not accepted"),
        }
    }

    /// The state of a session after a response was lost. Its offset is at least what was acknowledged, and at most what
    /// was sent.
    async fn standing(&mut self, location: &str, acknowledged: usize, sent: usize) -> Standing {
        self.world.tally.one("uploads looked up after a kill");
        loop {
            let Some(asked) = self.world.ask(Method::GET, location, "").await else { continue };
            match asked.status() {
                204 if (acknowledged..=sent).contains(&stands_at(&asked)) => return Standing::At(stands_at(&asked)),
                404 => return Standing::Over,
                _ => asked.unexpected(&format!("the offset of the session is not between {acknowledged} and {sent}")),
            }
        }
    }

    /// Mounts the blob from another repository that has it.
    async fn mounted(&mut self, repository: &'static str, content: &Content) -> bool {
        let now = self.world.ledger.now();
        let Some(from) = self.world.ledger.elsewhere(repository, &content.digest, now) else {
            return self.whole(repository, content).await;
        };
        let target = format!("/v2/{repository}/blobs/uploads/?mount={}&from={from}", content.digest);
        let Some(asked) = self.world.ask(Method::POST, &target, "").await else { return false };
        match asked.status() {
            201 => {
                self.world.tally.one("blobs mounted");
                asked.names(&content.digest);
                true
            }
            202 => {
                self.world.is_rightly_missing(&asked, from, &content.digest);
                self.end(asked.reply.header("location"), content, 0).await
            }
            _ => asked.unexpected("neither mounted nor a session"),
        }
    }

    /// Pushes a blob that no manifest needs, and deletes it again.
    pub async fn push_and_delete(&mut self, repository: &'static str) {
        let content = self.world.pool.own(&mut self.dice);
        self.ensure_blob(repository, &content, false).await;
        let target = format!("/v2/{repository}/blobs/{}", content.digest);
        // A collection may have been first.
        match self.world.ask(Method::DELETE, &target, "").await {
            None => return,
            Some(asked) if matches!(asked.status(), 202 | 404) => self.world.tally.one("blobs deleted"),
            Some(asked) => asked.unexpected("a blob was not deleted"),
        }
        if let Some(asked) = self.world.ask(Method::GET, &target, "").await
            && asked.status() != 404
        {
            asked.unexpected("a deleted blob exists");
        }
        if self.dice.chance(50) {
            self.ensure_blob(repository, &content, true).await;
        }
    }
}

/// Whether a repository has a blob; `None` without a response.
async fn is_there(world: &World, repository: &'static str, content: &Content) -> Option<bool> {
    let asked = world.ask(Method::HEAD, &format!("/v2/{repository}/blobs/{}", content.digest), "").await?;
    match asked.status() {
        200 if asked.reply.header("content-length") == content.len.to_string() => Some(true),
        404 => {
            world.is_rightly_missing(&asked, repository, &content.digest);
            Some(false)
        }
        _ => asked.unexpected("a blob either exists or not"),
    }
}

fn is_created(asked: Option<Asked>, content: &Content) -> bool {
    let Some(asked) = asked else { return false };
    if asked.status() != 201 {
        asked.unexpected("a blob was not accepted");
    }
    asked.names(&content.digest);
    true
}

/// The length of a session, from the `Range` of a response.
fn stands_at(asked: &Asked) -> usize {
    match asked.reply.header("range") {
        "0-0" => 0,
        range => range.strip_prefix("0-").expect("from the start").parse::<usize>().expect("a number") + 1,
    }
}
