//! A repair on a failing disk: intact files stay, and the next repair completes what this one began.

use super::*;
use crate::{
    files::Sys,
    upkeep::fsck::{self, Finding, PoolPart, Summary, Watch},
};

struct Quiet;

impl Watch for Quiet {
    fn at(&mut self, _: &Summary) {}
    fn found(&mut self, _: &Finding) {}
}

fn repair<S: Sys>(store: &Fs<S>) -> Summary {
    let options = fsck::FsckOptions {
        read: Some(PoolPart::WHOLE),
        repair: true,
        patience: Duration::ZERO,
        ..fsck::FsckOptions::default()
    };
    fsck::check(&store.survey(), &options, &mut Quiet)
}

/// Flips a bit of a blob nobody needs, garbles a tag, and takes away a note that leads to a tag.
fn damage(dir: &Path) {
    let orphan = dir.join(Item::Blob(sha256(b"orphan")).path());
    std::fs::write(orphan, b"orpham").unwrap();
    std::fs::write(dir.join(FactKey::Tag(name(), "cut".parse().unwrap()).path()), "sha256:12").unwrap();
    std::fs::remove_file(note(dir)).unwrap();
}

/// The note that leads from a manifest to its tag.
fn note(dir: &Path) -> std::path::PathBuf {
    dir.join(FactKey::Tagged(name(), sha256(&manifest("kept", None)), "v1".parse().unwrap()).path())
}

#[tokio::test]
async fn a_system_call_that_fails_during_a_repair_damages_nothing_more() {
    let (original, _) = prepared().await;
    damage(original.path());
    for (errno, trouble) in TROUBLES {
        for at in (0..).step_by(7) {
            let dir = directory();
            copy(original.path(), dir.path());
            let plan = FaultPlan::of(at, errno, trouble);
            let store = Fs::new(AtomicFiles::new(FaultySys::new(Real::open_root(dir.path()).unwrap(), plan.clone())));
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
struct Told(Vec<(String, fsck::FindingKind)>);

impl Watch for Told {
    fn at(&mut self, _: &Summary) {}
    fn found(&mut self, finding: &Finding) {
        self.0.push((finding.path.clone(), finding.kind));
    }
}

#[tokio::test]
async fn a_system_call_that_fails_during_a_check_hides_only_its_own_result() {
    let (dir, _) = prepared().await;
    damage(dir.path());
    let check = |plan: &Arc<FaultPlan>| {
        let store = Fs::new(AtomicFiles::new(FaultySys::new(Real::open_root(dir.path()).unwrap(), plan.clone())));
        let options =
            fsck::FsckOptions { read: Some(PoolPart::WHOLE), patience: Duration::ZERO, ..fsck::FsckOptions::default() };
        let mut output = Told::default();
        fsck::check(&store.survey(), &options, &mut output);
        output.0
    };
    let (errno, trouble) = TROUBLES[0];
    let all = check(&FaultPlan::of(usize::MAX, errno, trouble));
    assert_eq!(all.len(), 3, "{all:?}");
    for at in (0..).step_by(23) {
        let plan = FaultPlan::of(at, errno, trouble);
        let output = check(&plan);
        // A directory that cannot be listed, or a path that cannot be examined, is reported instead of its content.
        let unreadable: Vec<&str> = output
            .iter()
            .filter(|(_, kind)| *kind == fsck::FindingKind::Unreadable)
            .map(|(path, _)| path.as_str())
            .collect();
        assert!(unreadable.len() <= 1, "at call {at}: {output:?}");
        for found in &all {
            let is_told =
                output.contains(found) || unreadable.iter().any(|path| *path == "." || found.0.starts_with(path));
            assert!(is_told, "at call {at}: {found:?} is not among {output:?}");
        }
        if !plan.was_reached() {
            assert!(at > 100, "a check makes calls: {at}");
            break;
        }
    }
}
