//! The scenes: small enough to be explored completely, large enough for every known loss.

use crate::{
    names::NameSet,
    protocol::{Scene, SceneItem, SceneItemKind, ScenePush},
    store::Uncertainty,
};

fn item(name: &'static str, kind: SceneItemKind, refers: &[usize]) -> SceneItem {
    SceneItem { name, kind, refers: NameSet::of(refers), repository: 0 }
}

fn push(manifest: usize, uploads: &[usize]) -> ScenePush {
    ScenePush { manifest, uploads: NameSet::of(uploads), tags: false }
}

fn scene(items: Vec<SceneItem>, pushes: Vec<ScenePush>, present: &[usize], collectors: usize, runs: usize) -> Scene {
    Scene {
        items,
        pushes,
        present: NameSet::of(present),
        collectors,
        runs,
        policy: false,
        attached: false,
        deletes: true,
        recent: Uncertainty::Certain,
        crashes: 0,
    }
}

/// One blob, and up to three writers with a manifest each that refers to it.
pub fn blob(writers: usize, collectors: usize, runs: usize) -> Scene {
    let manifest = |name| item(name, SceneItemKind::Manifest, &[0]);
    let items = [item("a", SceneItemKind::Blob, &[]), manifest("M"), manifest("N"), manifest("O")];
    let pushes = (1..=writers).map(|manifest| push(manifest, &[0])).collect();
    scene(items[..=writers].to_vec(), pushes, &[0], collectors, runs)
}

/// One image of two blobs.
pub fn image(collectors: usize, runs: usize) -> Scene {
    let blob = |name| item(name, SceneItemKind::Blob, &[]);
    let items = vec![blob("a"), blob("b"), item("M", SceneItemKind::Manifest, &[0, 1])];
    scene(items, vec![push(2, &[0, 1])], &[0, 1], collectors, runs)
}

/// Two images, of which the second shares a blob with the first.
pub fn images(collectors: usize, runs: usize) -> Scene {
    let blob = |name| item(name, SceneItemKind::Blob, &[]);
    let manifest = |name, refers| item(name, SceneItemKind::Manifest, refers);
    let items = vec![blob("a"), blob("b"), manifest("M", &[0, 1]), manifest("N", &[1])];
    scene(items, vec![push(2, &[0, 1]), push(3, &[1])], &[0, 1], collectors, runs)
}

/// Two repositories. The first has the blob; clients that push to the second know only its digest.
pub fn links(collectors: usize, runs: usize) -> Scene {
    let items = vec![
        item("a", SceneItemKind::Blob, &[]),
        item("the first repository's link to a", SceneItemKind::Link(0), &[]),
        item("the second repository's link to a", SceneItemKind::Link(0), &[]),
        item("M", SceneItemKind::Manifest, &[0, 1]),
        SceneItem { repository: 1, ..item("N", SceneItemKind::Manifest, &[0, 2]) },
    ];
    scene(items, vec![push(3, &[0, 1]), push(4, &[])], &[0, 1], collectors, runs)
}

/// Manifests that nothing needs are condemned: an index `I`, its child `R`, and the child's blob. A push of the index
/// checks the child, but not what the child refers to.
pub fn index(collectors: usize, runs: usize) -> Scene {
    let items = vec![
        item("a", SceneItemKind::Blob, &[]),
        item("R", SceneItemKind::Manifest, &[0]),
        item("I", SceneItemKind::Manifest, &[1]),
    ];
    let pushes = vec![ScenePush { tags: true, ..push(2, &[]) }];
    Scene { policy: true, ..scene(items, pushes, &[0, 1], collectors, runs) }
}

/// A signature `S` with a blob of its own, under a tag that is attached to an image. The image is not modelled: clients
/// delete it at any moment, repeatedly.
pub fn attached(collectors: usize, runs: usize) -> Scene {
    let items = vec![item("a", SceneItemKind::Blob, &[]), item("S", SceneItemKind::Manifest, &[0])];
    let pushes = vec![ScenePush { tags: true, ..push(1, &[0]) }];
    Scene { policy: true, attached: true, ..scene(items, pushes, &[0], collectors, runs) }
}

/// The machine crashes, which may lose everything that is not synced. Manifests are tagged.
pub fn crash(writers: usize, collectors: usize, runs: usize, crashes: u8) -> Scene {
    let mut scene = blob(writers, collectors, runs);
    scene.pushes.iter_mut().for_each(|push| push.tags = true);
    Scene { present: NameSet::NONE, deletes: false, recent: Uncertainty::Unsynced, crashes, ..scene }
}

/// Every process sees names and directories as they were up to one `settle` ago.
pub fn caches(writers: usize, collectors: usize, runs: usize, unseen: usize) -> Scene {
    let mut scene = blob(writers, collectors, runs);
    scene.pushes.iter_mut().for_each(|push| push.uploads = NameSet::NONE);
    Scene { deletes: false, recent: Uncertainty::Unseen(unseen), ..scene }
}
