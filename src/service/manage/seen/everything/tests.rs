//! What is known of all repositories, as requests of one process ask for it.

use super::*;
use crate::{
    registry::Settings,
    storage::{
        Durability, FactKey, Facts as _, Mem, Put, Storage,
        faulty::{Fault, Faulty},
    },
};
use oci::{Algorithm, Hasher};

async fn push(store: &dyn Storage, name: &str) {
    let key = FactKey::Revision(name.parse().unwrap(), Hasher::digest(Algorithm::Sha256, b"x"));
    store.put(vec![Put::any(key, "")], Durability::Process).await.unwrap();
}

fn registry(store: &Arc<impl Storage + 'static>) -> Registry {
    Registry::new(store.clone(), Arc::new(Settings::default()))
}

fn names(all: &AllRepositories) -> String {
    all.repositories.iter().map(|one| one.name.to_string()).collect::<Vec<_>>().join(" ")
}

fn repository(name: &str) -> ChangedContent {
    ChangedContent::Repository(name.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn own_changes_count_at_once_and_those_of_others_after_a_while() {
    let store = Arc::new(Mem::default());
    let (gatherer, registry) = (Arc::new(RepositoryGatherer::default()), registry(&store));
    for name in ["b", "d", "f"] {
        push(&*store, name).await;
    }
    assert_eq!(names(&gatherer.now(&registry).await.unwrap()), "b d f");
    // Another process pushes `a`, and this one `c` and `g`, and it deletes `d`.
    for name in ["a", "c", "g"] {
        push(&*store, name).await;
    }
    let gone = FactKey::Revision("d".parse().unwrap(), Hasher::digest(Algorithm::Sha256, b"x"));
    store.delete(&gone, crate::storage::Expect::Any).await.unwrap();
    for name in ["g", "d", "c"] {
        gatherer.changed(repository(name));
    }
    let now = gatherer.now(&registry).await.unwrap();
    assert_eq!((names(&now).as_str(), now.is_complete), ("b c f g", true));
    let again = gatherer.now(&registry).await.unwrap();
    assert!(Arc::ptr_eq(&now, &again), "nothing changed, so nothing was looked at");
    // Before it is too old, a request is answered at once, and everything is looked at meanwhile.
    tokio::time::advance(KEPT_FOR / 2).await;
    assert!(Arc::ptr_eq(&now, &gatherer.now(&registry).await.unwrap()));
    while Arc::ptr_eq(&now, &gatherer.known()) {
        tokio::task::yield_now().await;
    }
    assert_eq!(names(&gatherer.known()), "a b c f g");
    push(&*store, "e").await;
    tokio::time::advance(KEPT_FOR).await;
    assert_eq!(names(&gatherer.now(&registry).await.unwrap()), "a b c e f g", "too old: it waits");
    registry.create_namespace(&"team".parse().unwrap()).await.unwrap();
    gatherer.changed(ChangedContent::Namespaces);
    assert_eq!(gatherer.now(&registry).await.unwrap().created.len(), 1);
    push(&*store, "h").await;
    gatherer.changed(ChangedContent::Anything);
    assert_eq!(names(&gatherer.now(&registry).await.unwrap()), "a b c e f g h");
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_a_moment_only_and_the_next_one_sees_everything() {
    let inner = Arc::new(Mem::default());
    push(&*inner, "a").await;
    // One call after another never returns: the facts of repositories, the namespaces, the names, their outlines.
    let mut hung = 0;
    for at in 0.. {
        let store = Faulty::new(inner.clone(), at, Fault::Dropped);
        let (gatherer, registry) = (Arc::new(RepositoryGatherer::default()), registry(&store));
        let (started, two) = (Instant::now(), tokio::join!(gatherer.now(&registry), gatherer.now(&registry)));
        let now = two.0.unwrap();
        assert_eq!(now.is_complete, two.1.unwrap().is_complete);
        if now.is_complete {
            assert_eq!(names(&now), "a");
            break;
        }
        assert!(started.elapsed() <= PATIENCE + Duration::from_millis(10), "{:?}", started.elapsed());
        hung += 1;
    }
    assert!(hung >= 4, "{hung}");
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_is_an_error_for_everybody_who_waits_and_forgotten_by_the_next() {
    let inner = Arc::new(Mem::default());
    push(&*inner, "a").await;
    let store = Faulty::new(inner.clone(), 0, Fault::Before);
    let (gatherer, registry) = (Arc::new(RepositoryGatherer::default()), registry(&store));
    assert!(gatherer.now(&registry).await.is_err());
    assert_eq!(names(&gatherer.now(&registry).await.unwrap()), "a");
}

#[tokio::test]
async fn what_a_caller_sees_is_carried_over_and_only_changes_are_decided() {
    struct Odd(std::sync::atomic::AtomicUsize);
    impl Visible for Odd {
        fn shows(&self, repository: &RepositoryName) -> crate::registry::Shows {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            repository.as_str().ends_with(['1', '3', '5', '7', '9']).into()
        }
        fn reaches(&self, _: &RepositoryName) -> bool {
            true
        }
    }
    let one = |name: &str, tags: u64| {
        let outline = Arc::new(crate::storage::RepositoryOutline { tags, ..Default::default() });
        SeenRepository::of(&name.parse().unwrap(), &outline, RepositoryFacts::default(), None)
    };
    let all = |repositories| AllRepositories { repositories, ..AllRepositories::default() };
    let before = all((0..1000).map(|n| one(&format!("r{n:03}"), 0)).collect());
    let odd = Odd(Default::default());
    let shown = before.visible(&odd, None).await;
    assert_eq!((shown.len(), odd.0.swap(0, std::sync::atomic::Ordering::Relaxed)), (500, 1000));
    // Some are gone, one has changed, and some are new, at the beginning, within and at the end.
    let mut later = before.repositories.clone();
    later.drain(100..200);
    later[50] = one("r050", 1);
    later[51] = one("r051", 1);
    let changed = ["a1", "a2", "r150", "r151", "z1"].map(|name| one(name, 0));
    later.extend(changed);
    later.sort_by(|a, b| a.name.cmp(&b.name));
    let later = all(later);
    let found = later.visible(&odd, Some((&before, &shown))).await;
    assert_eq!(odd.0.load(std::sync::atomic::Ordering::Relaxed), 7, "only what is not the same");
    let fresh = later.visible(&odd, None).await;
    let names = |list: &[Arc<SeenRepository>]| list.iter().map(|one| one.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&found), names(&fresh));
    assert!(found.iter().zip(&fresh).all(|(a, b)| Arc::ptr_eq(a, b)));
}
