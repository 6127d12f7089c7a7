//! Clients that upload, replace, move, delete and restore artifacts. Each has files of its own, so it knows what each
//! may contain. Much of their content is that of images, too: a collection that knew only one of the two would delete
//! what the other needs.

use crate::{
    dice::Dice,
    world::{Asked, World, rest},
};
use http::Method;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};
use testing::session::sha256;

const REPOSITORY: &str = "chaos";

/// Number of files that each client has.
const FILES: usize = 10;

/// The digest of what a file has; `None` if there is no such file.
type File = Option<String>;

/// What each file may be, by version and path. It is more than one thing after a request without a response.
#[derive(Default)]
pub struct Artifacts(Mutex<BTreeMap<String, Vec<File>>>);

impl Artifacts {
    fn may_be(&self, path: &str) -> Vec<File> {
        self.0.lock().unwrap().get(path).cloned().unwrap_or_else(|| vec![None])
    }

    /// A request that makes it this begins.
    fn begin(&self, path: &str, file: File) {
        let may_be = self.may_be(path);
        let all = may_be.into_iter().chain([file]).collect::<BTreeSet<_>>();
        self.0.lock().unwrap().insert(path.to_owned(), all.into_iter().collect());
    }

    fn is(&self, path: &str, file: File) {
        self.0.lock().unwrap().insert(path.to_owned(), vec![file]);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }
}

/// A client with its files.
pub struct ArtifactWriter {
    pub world: Arc<World>,
    pub dice: Dice,
    pub number: usize,
}

impl ArtifactWriter {
    /// Writes until the campaign ends.
    pub async fn run(mut self) {
        while !self.world.is_ending() {
            let path = self.some_path();
            match self.dice.below(100) {
                0..45 => self.upload(&path).await,
                45..60 => self.delete(&path).await,
                60..72 => self.rename(&path).await,
                72..80 => self.delete_and_restore(&path).await,
                _ => drop(self.world.look_at_artifact(&path).await),
            }
            rest(&self.world, self.dice.millis(0..40)).await;
        }
    }

    /// The version and the path of one of its files.
    fn some_path(&mut self) -> String {
        let file = self.dice.below(FILES);
        format!("1.{}/w{}/f{file}", file % 3, self.number)
    }

    async fn upload(&mut self, path: &str) {
        let content = match self.dice.chance(60) {
            true => self.world.pool.shared(&mut self.dice),
            false => self.world.pool.own(&mut self.dice),
        };
        let artifacts = &self.world.artifacts;
        artifacts.begin(path, Some(sha256(&content.bytes())));
        let target = format!("/api/v1/artifacts/{REPOSITORY}/-/{path}?overwrite=true");
        let Some(asked) = self.world.ask(Method::PUT, &target, content.bytes()).await else { return };
        match asked.status() {
            200 | 201 => artifacts.is(path, Some(sha256(&content.bytes()))),
            _ => asked.unexpected("an upload that is refused"),
        }
        self.world.tally.one("artifacts acknowledged");
    }

    async fn delete(&mut self, path: &str) {
        let artifacts = &self.world.artifacts;
        let before = artifacts.may_be(path);
        artifacts.begin(path, None);
        let target = format!("/api/v1/artifacts/{REPOSITORY}/{path}");
        let Some(asked) = self.world.ask(Method::DELETE, &target, "").await else { return };
        match asked.status() {
            204 => {}
            404 if before.contains(&None) => {}
            _ => asked.unexpected("an acknowledged artifact cannot be deleted"),
        }
        artifacts.is(path, None);
    }

    /// Moves a file to the place of another that does not exist.
    async fn rename(&mut self, from: &str) {
        let to = self.some_path();
        let Some((id, file)) = self.present(from).await else { return };
        if self.world.artifacts.may_be(&to) != [None] {
            return;
        }
        let artifacts = &self.world.artifacts;
        artifacts.begin(from, None);
        artifacts.begin(&to, file.clone());
        let (version, path) = to.split_once('/').expect("a version");
        let target = format!("/api/v1/artifacts/{REPOSITORY}/{id}/rename");
        let body = json!({ "version": version, "path": path });
        let Some(asked) = self.world.ask_json(Method::PUT, &target, &body).await else {
            // It is at one of the two places, or at both for a moment, and never at none.
            let (old, new) = (self.seen(from).await, self.seen(&to).await);
            assert!(old.is_some() || new.is_some(), "{from} is lost on its way to {to}");
            return;
        };
        if asked.status() != 200 {
            asked.unexpected("an artifact cannot be moved");
        }
        artifacts.is(from, None);
        artifacts.is(&to, file);
        self.world.tally.one("artifacts moved");
    }

    async fn delete_and_restore(&mut self, path: &str) {
        let Some((id, file)) = self.present(path).await else { return };
        self.delete(path).await;
        let artifacts = &self.world.artifacts;
        if artifacts.may_be(path) != [None] {
            return;
        }
        artifacts.begin(path, file.clone());
        let target = format!("/api/v1/artifacts/{REPOSITORY}/{id}/restore");
        let Some(asked) = self.world.ask_json(Method::POST, &target, &json!({})).await else { return };
        if asked.status() != 200 {
            asked.unexpected("a deleted artifact cannot be restored");
        }
        artifacts.is(path, file);
        self.world.tally.one("artifacts restored");
    }

    /// The ID and the content of a file that exists for certain.
    async fn present(&self, path: &str) -> Option<(String, File)> {
        let file = self.world.look_at_artifact(path).await?;
        let (version, path) = path.split_once('/')?;
        let target = format!("/api/v1/artifacts/{REPOSITORY}/versions");
        let asked = self.world.ask(Method::GET, &target, "").await?;
        let all = asked.reply.json();
        let here = all[version].as_array()?.iter().find(|artifact| artifact["path"] == path)?;
        file.is_some().then(|| (here["id"].as_str().expect("an ID").to_owned(), file))
    }

    /// What a file is, however often one has to ask.
    async fn seen(&self, path: &str) -> File {
        loop {
            if let Some(file) = self.world.look_at_artifact(path).await {
                return file;
            }
        }
    }
}

impl World {
    /// Creates the repository of artifacts.
    pub async fn create_artifacts(&self) {
        let body = json!({ "name": REPOSITORY });
        let asked = self.ask_json(Method::POST, "/api/v1/artifacts/repos", &body).await.expect("an answer");
        if asked.status() != 201 {
            asked.unexpected("no repository of artifacts");
        }
    }

    async fn ask_json(&self, method: Method, target: &str, body: &Value) -> Option<Asked> {
        self.ask_with(method, target, &[("content-type", "application/json")], body.to_string()).await
    }

    /// Checks that a file is what it may be; from then on it is what was seen.
    pub async fn look_at_artifact(&self, path: &str) -> Option<File> {
        let asked = self.ask(Method::GET, &format!("/api/v1/artifacts/{REPOSITORY}/{path}"), "").await?;
        let file = match asked.status() {
            200 => Some(sha256(&asked.reply.body)),
            404 => None,
            _ => asked.unexpected("an artifact either exists or not"),
        };
        let may_be = self.artifacts.may_be(path);
        if !may_be.contains(&file) {
            asked.unexpected(&format!("it is {file:?} instead of {may_be:?}"));
        }
        self.artifacts.is(path, file.clone());
        Some(file)
    }

    /// At the end: checks all artifacts, one by one and as the search has them.
    pub async fn verify_artifacts(&self) {
        let mut present = BTreeMap::new();
        for path in self.artifacts.all() {
            if let Some(digest) = self.look_at_artifact(&path).await.expect("an answer") {
                present.insert(path, digest);
            }
            self.tally.one("artifacts verified");
        }
        let target = format!("/api/v1/artifacts/search?repo={REPOSITORY}&limit=1000");
        let asked = self.ask(Method::GET, &target, "").await.expect("an answer");
        let text = |found: &Value, key: &str| found[key].as_str().expect("text").to_owned();
        let place =
            |found: &Value| (format!("{}/{}", text(found, "version"), text(found, "path")), text(found, "digest"));
        let results = asked.reply.json()["results"].as_array().cloned().unwrap_or_default();
        let listed: BTreeMap<_, _> = results.iter().map(place).collect();
        assert_eq!((listed.len(), &listed), (results.len(), &present), "the search finds what exists");
    }
}
