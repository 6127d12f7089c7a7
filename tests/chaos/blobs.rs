//! Blobs on their way in, by every way there is.

use crate::{
    content::Content,
    push::Pusher,
    world::{Asked, World},
};
use bytes::Bytes;
use http::Method;

/// Where an upload is, as far as its client can know.
enum Standing {
    /// The daemon has so many bytes.
    At(usize),
    /// The session is over.
    Over,
}

impl Pusher {
    /// Makes sure that a repository has a blob: asks for it, if the client is of that kind, and
    /// pushes it until it is acknowledged.
    pub async fn bring(&mut self, repository: &'static str, content: &Content, mut asks: bool) {
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

    /// A session, and all bytes with its end.
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

    /// Ends a session that stands at `at` with the bytes that are left.
    async fn end(&mut self, location: &str, content: &Content, at: usize) -> bool {
        let target = format!("{location}?digest={}", content.digest);
        let asked = self.world.ask(Method::PUT, &target, content.bytes().slice(at..)).await;
        is_created(asked, content)
    }

    /// A session to which pieces are added; after a kill it goes on where it stood.
    async fn in_chunks(&mut self, repository: &str, content: &Content) -> bool {
        let Some(location) = self.begin(repository).await else { return false };
        // Its chunks say their place, and the session's name need not.
        let location = location.rsplit_once('.').map_or(location.clone(), |(by_id, _)| by_id.to_owned());
        let (bytes, mut at) = (content.bytes(), 0);
        // The first piece has two bytes at least: `Range: 0-0` is said of one byte and of none.
        let last = Some(self.dice.below(content.len + 1)).filter(|last| *last > 1).unwrap_or(0);
        while at < last {
            let end = (at + 2 + self.dice.below(64 << 10)).min(last);
            match self.patch(&location, at, bytes.slice(at..end)).await {
                true => at = end,
                false => match self.standing(&location, at, end).await {
                    Standing::At(stands) => at = stands,
                    Standing::Over => panic!("{location}: the session is gone, and was not ended"),
                },
            }
        }
        if self.end(&location, content, at).await {
            return true;
        }
        // Whether the end was reached is found out by asking where the session stands.
        match self.standing(&location, at, content.len).await {
            Standing::At(at) => self.end(&location, content, at).await,
            Standing::Over => false,
        }
    }

    /// A session whose requests are sent again, just as they were, until each is answered.
    async fn repeated(&mut self, repository: &str, content: &Content) -> bool {
        let Some(mut location) = self.begin(repository).await else { return false };
        let (bytes, mut at) = (content.bytes(), 0);
        // Of two bytes at least, as in chunks.
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
                // The second: it had been acknowledged, and the answer was lost.
                202 | 416 if stands_at(&asked) == end => {}
                _ => asked.unexpected("a repeated piece was not taken"),
            }
            (location, at) = (asked.reply.header("location").to_owned(), end);
        }
        let target = format!("{location}?digest={}", content.digest);
        loop {
            match self.world.ask(Method::PUT, &target, bytes.slice(at..)).await {
                None => self.world.tally.one("uploads repeated after a kill"),
                // It had been finished, and what it had brought was collected since.
                Some(asked) if asked.status() == 404 => return false,
                asked => return is_created(asked, content),
            }
        }
    }

    /// Whether a piece was acknowledged.
    async fn patch(&mut self, location: &str, at: usize, piece: Bytes) -> bool {
        let (range, end) = (format!("{at}-{}", at + piece.len() - 1), at + piece.len());
        match self.world.ask_with(Method::PATCH, location, &[("content-range", &range)], piece).await {
            None => false,
            Some(asked) if asked.status() == 202 && stands_at(&asked) == end => true,
            Some(asked) => asked.unexpected("a piece in its place was not taken"),
        }
    }

    /// Where a session stands after an answer was lost: no earlier than what was acknowledged, no
    /// later than what was sent.
    async fn standing(&mut self, location: &str, acknowledged: usize, sent: usize) -> Standing {
        self.world.tally.one("uploads looked up after a kill");
        loop {
            let Some(asked) = self.world.ask(Method::GET, location, "").await else { continue };
            match asked.status() {
                204 if (acknowledged..=sent).contains(&stands_at(&asked)) => return Standing::At(stands_at(&asked)),
                404 => return Standing::Over,
                _ => asked.unexpected(&format!("the session stands between {acknowledged} and {sent}")),
            }
        }
    }

    /// From another repository that has it.
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

    /// A blob that no manifest needs, to its end and back.
    pub async fn scrap(&mut self, repository: &'static str) {
        let content = self.world.pool.own(&mut self.dice);
        self.bring(repository, &content, false).await;
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
            asked.unexpected("a deleted blob is there");
        }
        if self.dice.chance(50) {
            self.bring(repository, &content, true).await;
        }
    }
}

/// Whether a repository says that it has a blob; `None` without an answer.
async fn is_there(world: &World, repository: &'static str, content: &Content) -> Option<bool> {
    let asked = world.ask(Method::HEAD, &format!("/v2/{repository}/blobs/{}", content.digest), "").await?;
    match asked.status() {
        200 if asked.reply.header("content-length") == content.len.to_string() => Some(true),
        404 => {
            world.is_rightly_missing(&asked, repository, &content.digest);
            Some(false)
        }
        _ => asked.unexpected("a blob is there or not"),
    }
}

fn is_created(asked: Option<Asked>, content: &Content) -> bool {
    let Some(asked) = asked else { return false };
    if asked.status() != 201 {
        asked.unexpected("a blob was not taken");
    }
    asked.names(&content.digest);
    true
}

/// The length a session's `Range` tells.
fn stands_at(asked: &Asked) -> usize {
    match asked.reply.header("range") {
        "0-0" => 0,
        range => range.strip_prefix("0-").expect("from the start").parse::<usize>().expect("a number") + 1,
    }
}
