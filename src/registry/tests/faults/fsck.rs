//! A repair over a disk that fails: what is sound stays, and the next repair ends what this one began.

use super::*;
use crate::{
    files::Sys,
    registry::fsck::{self, Finding, Part, Summary, Watch},
};

struct Quiet;

impl Watch for Quiet {
    fn at(&mut self, _: &Summary) {}
    fn found(&mut self, _: &Finding) {}
}

fn repair<S: Sys>(store: &Fs<S>) -> Summary {
    let options =
        fsck::Options { read: Some(Part::WHOLE), repair: true, patience: Duration::ZERO, ..fsck::Options::default() };
    fsck::check(&store.survey(), &options, &mut Quiet)
}

/// Flips a bit of a blob nobody needs, garbles a tag, and takes away a note that leads to a tag.
fn damage(dir: &Path) {
    let orphan = dir.join(Item::Blob(sha256(b"orphan")).path());
    std::fs::write(orphan, b"orpham").unwrap();
    std::fs::write(dir.join(Key::Tag(name(), "cut".parse().unwrap()).path()), "sha256:12").unwrap();
    std::fs::remove_file(note(dir)).unwrap();
}

/// The note that leads from a manifest to its tag.
fn note(dir: &Path) -> std::path::PathBuf {
    dir.join(Key::Tagged(name(), sha256(&manifest("kept", None)), "v1".parse().unwrap()).path())
}

#[tokio::test]
async fn a_system_call_that_fails_during_a_repair_damages_nothing_more() {
    let (original, _) = prepared().await;
    damage(original.path());
    for (errno, trouble) in TROUBLES {
        for at in (0..).step_by(7) {
            let dir = directory();
            copy(original.path(), dir.path());
            let plan = Plan::of(at, errno, trouble);
            let store = Fs::new(Files::new(FaultySys::new(Real::open_root(dir.path()).unwrap(), plan.clone())));
            repair(&store);
            let was_reached = plan.was_reached();
            let when = format!("{errno}, {trouble:?}, at call {at}");
            let store = Fs::open(dir.path(), Init::Never).unwrap().0;
            let (second, third) = (repair(&store), repair(&store));
            assert_eq!(third.worst(), None, "{when}: {second:?}, then {third:?}");
            drop(store);
            nothing_is_lost(&over(open(dir.path())), &when).await;
            assert!(note(dir.path()).exists(), "{when}");
            if !was_reached {
                assert!(at > 100, "a repair makes calls: {at}");
                break;
            }
        }
    }
}

#[derive(Default)]
struct Told(Vec<(String, fsck::Kind)>);

impl Watch for Told {
    fn at(&mut self, _: &Summary) {}
    fn found(&mut self, finding: &Finding) {
        self.0.push((finding.path.clone(), finding.kind));
    }
}

#[tokio::test]
async fn a_system_call_that_fails_during_a_check_hides_nothing_but_what_it_asked_for() {
    let (dir, _) = prepared().await;
    damage(dir.path());
    let check = |plan: &Arc<Plan>| {
        let store = Fs::new(Files::new(FaultySys::new(Real::open_root(dir.path()).unwrap(), plan.clone())));
        let options = fsck::Options { read: Some(Part::WHOLE), patience: Duration::ZERO, ..fsck::Options::default() };
        let mut told = Told::default();
        fsck::check(&store.survey(), &options, &mut told);
        told.0
    };
    let (errno, trouble) = TROUBLES[0];
    let all = check(&Plan::of(usize::MAX, errno, trouble));
    assert_eq!(all.len(), 3, "{all:?}");
    for at in (0..).step_by(23) {
        let plan = Plan::of(at, errno, trouble);
        let told = check(&plan);
        // A directory that cannot be listed, or a path that cannot be looked at, is told of in place of what is there.
        let unreadable: Vec<&str> =
            told.iter().filter(|(_, kind)| *kind == fsck::Kind::Unreadable).map(|(path, _)| path.as_str()).collect();
        assert!(unreadable.len() <= 1, "at call {at}: {told:?}");
        for found in &all {
            let is_told =
                told.contains(found) || unreadable.iter().any(|path| *path == "." || found.0.starts_with(path));
            assert!(is_told, "at call {at}: {found:?} is not among {told:?}");
        }
        if !plan.was_reached() {
            assert!(at > 100, "a check makes calls: {at}");
            break;
        }
    }
}
