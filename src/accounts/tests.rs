use super::*;
use crate::{
    access::KeyScopes,
    identity::{ApiKeyText, CookieText, Issuer, RefreshText, Users, new_signing_key},
    storage::{AccountKey, Durability, FactKey, Facts, Mem, Put, UserFile, fs},
};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

const LIVES: SessionLives = SessionLives { idle: Duration::from_secs(3600), longest: Duration::from_secs(7200) };

fn accounts() -> (Arc<Mem>, Accounts) {
    let store = Arc::new(Mem::default());
    (store.clone(), Accounts::new(store))
}

fn users(text: &str) -> Users {
    let hash = "$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";
    Users::parse(&text.replace('#', hash)).unwrap()
}

async fn opened(accounts: &Accounts, user: &str) -> OpenedSession {
    accounts.open_session(user, "fingerprint", Device::default(), LIVES).await.unwrap()
}

async fn refreshed(accounts: &Accounts, text: &RefreshText) -> Refreshed {
    accounts.refresh_session(text, |_| true, LIVES).await.unwrap()
}

async fn is_alive(accounts: &Accounts, id: SessionId) -> bool {
    accounts.session(id, |_| true).await.unwrap().is_some()
}

/// Makes a record look older: every time in it is so many seconds earlier.
async fn age(store: &Mem, key: AccountKey, seconds: i64) {
    let key = FactKey::Account(key);
    let mut record: Value = serde_json::from_slice(&store.get(&key).await.unwrap().unwrap().bytes).unwrap();
    for field in ["created", "rotated", "refreshed", "expires"] {
        if let Some(time) = record[field].as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok()) {
            record[field] = json!(time - jiff::SignedDuration::from_secs(seconds));
        }
    }
    store.put(vec![Put::any(key, record.to_string())], Durability::Durable).await.unwrap();
}

fn key_of(user: &str, scopes: &[&str], life: Option<Duration>) -> ApiKeyRequest {
    let scopes = KeyScopes::parse(scopes).unwrap();
    ApiKeyRequest { name: "ci".into(), owner: user.into(), scopes, created_by: user.into(), life }
}

mod sessions {
    use super::*;

    #[tokio::test]
    async fn each_refresh_token_is_good_once() {
        let (store, accounts) = accounts();
        let OpenedSession { id, refresh, .. } = opened(&accounts, "alice").await;
        let Refreshed::Rotated(session, second) = refreshed(&accounts, &refresh).await else { panic!() };
        assert_eq!(session.user, "alice");
        let Refreshed::JustReplaced(_) = refreshed(&accounts, &refresh).await else { panic!() };
        let Refreshed::Rotated(_, third) = refreshed(&accounts, &second).await else { panic!() };
        let Refreshed::Gone = refreshed(&accounts, &refresh).await else { panic!("older than the previous one") };
        let Refreshed::Gone = refreshed(&accounts, &RefreshText::about(id).unwrap()).await else { panic!() };
        assert!(is_alive(&accounts, id).await, "ids are no secret, so a made up token ends nothing");
        age(&store, AccountKey::Session(id), 11).await;
        let Refreshed::Stolen(_) = refreshed(&accounts, &second).await else { panic!() };
        let Refreshed::Gone = refreshed(&accounts, &third).await else { panic!("the thief may have this one") };
        assert!(!is_alive(&accounts, id).await);
    }

    #[tokio::test]
    async fn of_many_at_once_one_gets_the_next_token_and_the_others_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(fs::Fs::open(dir.path(), fs::Init::EmptyDirectory).unwrap().0);
        let accounts = Arc::new(Accounts::new(store));
        let OpenedSession { id, refresh, .. } = opened(&accounts, "alice").await;
        let tabs: Vec<_> = (0..20)
            .map(|_| {
                let (accounts, refresh) = (accounts.clone(), refresh.clone());
                tokio::spawn(async move { refreshed(&accounts, &refresh).await })
            })
            .collect();
        let mut rotated = 0;
        for tab in tabs {
            match tab.await.unwrap() {
                Refreshed::Rotated(..) => rotated += 1,
                Refreshed::JustReplaced(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(rotated == 1 && is_alive(&accounts, id).await);
    }

    #[tokio::test]
    async fn a_session_ends_when_it_is_not_used_and_at_last_in_any_case() {
        let (store, accounts) = accounts();
        let OpenedSession { id, mut refresh, cookie, .. } = opened(&accounts, "alice").await;
        let key = || AccountKey::Session(id);
        for _ in 0..3 {
            age(&store, key(), 2000).await;
            let Refreshed::Rotated(_, next) = refreshed(&accounts, &refresh).await else { panic!() };
            refresh = next;
        }
        age(&store, key(), 1199).await;
        assert!(is_alive(&accounts, id).await, "7199 seconds after the login");
        age(&store, key(), 1).await;
        assert!(!is_alive(&accounts, id).await);
        let Refreshed::Gone = refreshed(&accounts, &refresh).await else { panic!() };
        assert!(accounts.session_of_cookie(&cookie, |_| true, LIVES).await.unwrap().is_none());
        let OpenedSession { id, .. } = opened(&accounts, "alice").await;
        age(&store, AccountKey::Session(id), 3600).await;
        assert!(!is_alive(&accounts, id).await, "it was not used");
    }

    #[tokio::test]
    async fn a_cookie_prolongs_its_session_and_only_the_right_one() {
        let (store, accounts) = accounts();
        let OpenedSession { id, cookie, .. } = opened(&accounts, "alice").await;
        let with = async |cookie: &CookieText| accounts.session_of_cookie(cookie, |_| true, LIVES).await.unwrap();
        age(&store, AccountKey::Session(id), 3000).await;
        let before = accounts.session(id, |_| true).await.unwrap().unwrap();
        let after = with(&cookie).await.unwrap();
        assert!(after.expires > before.expires && after.refreshed > before.refreshed);
        assert_eq!(with(&cookie).await.unwrap(), after, "a use soon after is not recorded");
        assert_eq!(with(&CookieText::about(id).unwrap()).await, None);
        assert_eq!(accounts.session_of_cookie(&cookie, |_| false, LIVES).await.unwrap(), None);
        accounts.end_session(id).await.unwrap();
        assert_eq!(with(&cookie).await, None);
    }

    #[tokio::test]
    async fn a_user_has_a_limited_number_and_the_least_used_ends() {
        let (store, accounts) = accounts();
        let first = opened(&accounts, "alice").await.id;
        age(&store, AccountKey::Session(first), 60).await;
        let other = opened(&accounts, "bob").await.id;
        for _ in 1..MOST_SESSIONS_PER_USER {
            opened(&accounts, "alice").await;
        }
        assert!(is_alive(&accounts, first).await);
        let last = opened(&accounts, "alice").await.id;
        assert!(!is_alive(&accounts, first).await && is_alive(&accounts, last).await);
        assert_eq!(accounts.sessions_of("alice").await.unwrap().len(), MOST_SESSIONS_PER_USER);
        accounts.end_sessions("alice", Some(last)).await.unwrap();
        let left: Vec<_> = accounts.sessions_of("alice").await.unwrap().into_iter().map(|(id, _)| id).collect();
        assert_eq!((left, is_alive(&accounts, other).await), (vec![last], true));
    }

    #[tokio::test]
    async fn what_was_voided_stays_so_and_what_came_later_counts() {
        let (_, accounts) = accounts();
        let before = SystemTime::now();
        let OpenedSession { id, refresh, .. } = opened(&accounts, "alice").await;
        assert!(!accounts.is_void("alice", before).await.unwrap());
        accounts.void("alice").await.unwrap();
        assert!(accounts.is_void("alice", before).await.unwrap() && !accounts.is_void("bob", before).await.unwrap());
        assert!(!is_alive(&accounts, id).await, "even if its file is left");
        let Refreshed::Gone = refreshed(&accounts, &refresh).await else { panic!() };
        let later = opened(&accounts, "alice").await.id;
        assert!(is_alive(&accounts, later).await && !accounts.is_void("alice", SystemTime::now()).await.unwrap());
    }

    #[tokio::test]
    async fn a_malformed_file_lets_nobody_in() {
        let (store, accounts) = accounts();
        let OpenedSession { id, refresh, .. } = opened(&accounts, "alice").await;
        store.put(vec![Put::any(FactKey::Account(AccountKey::Session(id)), "{}")], Durability::Durable).await.unwrap();
        assert!(!is_alive(&accounts, id).await);
        let Refreshed::Gone = refreshed(&accounts, &refresh).await else { panic!() };
        assert!(accounts.sessions_of("alice").await.unwrap().is_empty());
    }
}

mod api_keys {
    use super::*;

    async fn is_good(accounts: &Accounts, text: &ApiKeyText, users: &Users) -> bool {
        accounts.verify_api_key(text, users).await.unwrap().is_some()
    }

    #[tokio::test]
    async fn a_key_is_good_as_long_as_its_owner_is() {
        let (_, accounts) = accounts();
        let (text, key) = accounts.create_api_key(key_of("alice", &["repository:a:pull"], None)).await.unwrap();
        assert!(!format!("{key:?}").contains(text.reveal()));
        for (line, good) in [("alice:#\n", true), ("alice:!\n", true), ("alice:!#\n", false), ("bob:#\n", false)] {
            assert_eq!(is_good(&accounts, &text, &users(line)).await, good, "{line}");
            let of_token = accounts.api_key_of_token(text.id(), "alice", &users(line)).await.unwrap();
            assert_eq!(of_token.is_some(), good, "{line}");
        }
        let alice = users("alice:#\n");
        assert!(accounts.api_key_of_token(text.id(), "bob", &alice).await.unwrap().is_none());
        assert!(!is_good(&accounts, &ApiKeyText::about(text.id()).unwrap(), &alice).await, "another secret");
        assert!(!is_good(&accounts, &ApiKeyText::random().unwrap(), &alice).await);
        assert!(accounts.delete_api_key(text.id()).await.unwrap());
        assert!(!is_good(&accounts, &text, &alice).await && !accounts.delete_api_key(text.id()).await.unwrap());
    }

    #[tokio::test]
    async fn a_key_expires_and_can_be_changed() {
        let (_, accounts) = accounts();
        let alice = users("alice:#\n");
        let (text, _) = accounts.create_api_key(key_of("alice", &["VIEW:USER"], Some(Duration::ZERO))).await.unwrap();
        assert!(!is_good(&accounts, &text, &alice).await);
        let scopes = KeyScopes::parse(&["repository:**:*"]).unwrap();
        let change = ApiKeyChange { name: Some("cd".into()), scopes: Some(scopes.clone()), life: Some(None) };
        accounts.change_api_key(text.id(), &change).await.unwrap().unwrap();
        let key = accounts.verify_api_key(&text, &alice).await.unwrap().unwrap();
        assert_eq!((key.name.as_str(), key.scopes(), key.expires), ("cd", Some(scopes), None));
        let other = ApiKeyText::random().unwrap().id();
        assert_eq!(accounts.change_api_key(other, &change).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_user_has_a_limited_number_of_keys() {
        let (_, accounts) = accounts();
        let make = || accounts.create_api_key(key_of("alice", &["VIEW:USER"], None));
        for _ in 1..MOST_KEYS_PER_USER {
            make().await.unwrap();
        }
        let (last, _) = make().await.unwrap();
        assert!(matches!(make().await, Err(AccountsError::TooManyKeys)));
        assert!(accounts.create_api_key(key_of("bob", &["VIEW:USER"], None)).await.is_ok());
        accounts.delete_api_key(last.id()).await.unwrap();
        assert!(make().await.is_ok());
        assert_eq!(accounts.api_keys(Some("alice")).await.unwrap().len(), MOST_KEYS_PER_USER);
        assert_eq!(accounts.api_keys(None).await.unwrap().len(), MOST_KEYS_PER_USER + 1);
    }

    #[tokio::test]
    async fn the_use_of_a_key_is_recorded_now_and_then() {
        let (store, accounts) = accounts();
        let (text, _) = accounts.create_api_key(key_of("alice", &["VIEW:USER"], None)).await.unwrap();
        assert_eq!(accounts.api_key_used(text.id()).await.unwrap(), None);
        assert!(is_good(&accounts, &text, &users("alice:#\n")).await);
        let used = accounts.api_key_used(text.id()).await.unwrap().unwrap();
        assert!(is_good(&accounts, &text, &users("alice:#\n")).await);
        assert_eq!(accounts.api_key_used(text.id()).await.unwrap(), Some(used));
        accounts.delete_api_key(text.id()).await.unwrap();
        assert!(store.get(&FactKey::Account(AccountKey::ApiKeyUse(text.id()))).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_key_whose_scopes_cannot_be_read_is_for_nothing() {
        let (store, accounts) = accounts();
        let (text, _) = accounts.create_api_key(key_of("alice", &["VIEW:USER"], None)).await.unwrap();
        let key = FactKey::Account(AccountKey::ApiKey(text.id()));
        let bytes = store.get(&key).await.unwrap().unwrap().bytes;
        let changed = String::from_utf8_lossy(&bytes).replace("VIEW:USER", "view:user");
        store.put(vec![Put::any(key, changed)], Durability::Durable).await.unwrap();
        assert!(!is_good(&accounts, &text, &users("alice:#\n")).await);
        assert_eq!(accounts.api_keys(Some("alice")).await.unwrap().len(), 1, "but it is shown, and can be deleted");
    }
}

#[tokio::test]
async fn a_deleted_user_leaves_a_tombstone_and_nothing_that_works() {
    let (store, accounts) = accounts();
    let (session, bob) = (opened(&accounts, "alice").await.id, opened(&accounts, "bob").await.id);
    let (key, _) = accounts.create_api_key(key_of("alice", &["VIEW:USER"], None)).await.unwrap();
    accounts.record_login("alice").await.unwrap();
    assert!(accounts.user("alice").await.unwrap().last_login.is_some());
    for _ in 0..2 {
        accounts.bury("alice", "root").await.unwrap();
    }
    let stone = accounts.tombstone("alice").await.unwrap().unwrap();
    assert_eq!((stone.user.as_str(), stone.by.as_str()), ("alice", "root"));
    assert_eq!(accounts.tombstones().await.unwrap(), [stone]);
    assert!(accounts.api_key(key.id()).await.unwrap().is_none() && !is_alive(&accounts, session).await);
    assert!(store.get(&FactKey::Account(AccountKey::User(UserFile::of("alice")))).await.unwrap().is_none());
    assert!(is_alive(&accounts, bob).await && accounts.tombstone("bob").await.unwrap().is_none());
    assert!(accounts.lift_tombstone("alice").await.unwrap() && !accounts.lift_tombstone("alice").await.unwrap());
}

#[tokio::test]
async fn what_has_ended_is_swept() {
    let (store, accounts) = accounts();
    let (kept, idle, outdated) =
        (opened(&accounts, "alice").await.id, opened(&accounts, "bob").await.id, opened(&accounts, "carol").await.id);
    age(&store, AccountKey::Session(idle), 3600).await;
    let is_current = |session: &Session| session.user != "carol";
    let day = Duration::from_secs(86_400);
    let (fresh, _) = accounts.create_api_key(key_of("alice", &["VIEW:USER"], Some(day))).await.unwrap();
    let (old, _) = accounts.create_api_key(key_of("alice", &["VIEW:USER"], Some(day))).await.unwrap();
    age(&store, AccountKey::ApiKey(old.id()), 31 * 86_400).await;
    assert_eq!(accounts.sweep(is_current).await.unwrap(), Swept { sessions: 2, api_keys: 1 });
    assert!(is_alive(&accounts, kept).await && !is_alive(&accounts, outdated).await);
    assert!(
        accounts.api_key(fresh.id()).await.unwrap().is_some() && accounts.api_key(old.id()).await.unwrap().is_none()
    );
    assert_eq!(accounts.sweep(is_current).await.unwrap(), Swept::default());
}

#[tokio::test]
async fn the_files_are_for_the_daemon_alone_and_hold_no_secret() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let accounts = Accounts::new(Arc::new(fs::Fs::open(dir.path(), fs::Init::EmptyDirectory).unwrap().0));
    let issuer = Issuer::parse(new_signing_key().unwrap().as_bytes(), "here", "registry").unwrap();
    let fingerprint = issuer.fingerprint(&users("alice:#\n"), "alice").unwrap();
    let session = accounts.open_session("alice", &fingerprint, Device::default(), LIVES).await.unwrap();
    let (key, _) = accounts.create_api_key(key_of("alice", &["VIEW:USER"], None)).await.unwrap();
    for (file, secret) in [
        (format!("sessions/{}.json", session.id), session.refresh.reveal()),
        (format!("sessions/{}.json", session.id), session.cookie.reveal()),
        (format!("api-keys/{}.json", key.id()), key.reveal()),
    ] {
        let path = dir.path().join("identity").join(file);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!std::fs::read_to_string(&path).unwrap().contains(secret));
    }
}
