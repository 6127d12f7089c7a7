use super::*;
use std::{future::Future, task::Poll};

fn users(people: &[(&str, &str)]) -> Users {
    let line = |(name, password): &(&str, &str)| format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap());
    Users::parse(&people.iter().map(line).collect::<String>()).unwrap()
}

fn as_user(name: &str, password: &str) -> Credentials {
    Credentials::new(name, password)
}

/// Verifies a password with limits that are never reached.
async fn verify(passwords: &Passwords, users: &Users, credentials: &Credentials) -> Result<Subject, LoginRefusal> {
    passwords.verify(users, credentials, None, &LoginLimits::default()).await
}

/// Takes the only place, as a password being hashed does.
fn occupy(passwords: &Passwords) -> HashingPermit {
    let (ticket, _) = oneshot::channel();
    let claim = passwords.naming.claim([7; 32], false, "somebody", None);
    assert!(matches!(passwords.hashing.queue().arrive(&claim, ticket, 1, Duration::ZERO), Arrival::Place));
    HashingPermit(passwords.hashing.clone())
}

/// Polls a future as far as it gets.
async fn begin<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

const BUSY: Result<Subject, LoginRefusal> = Err(LoginRefusal::Busy(COME_BACK));

#[tokio::test]
async fn right_passwords_are_accepted_and_wrong_ones_refused() {
    let (passwords, users) = (Passwords::default(), users(&[("alice", "right")]));
    let verify = async |user: &str, password: &str| verify(&passwords, &users, &as_user(user, password)).await;
    assert_eq!(verify("alice", "right").await, Ok(Subject::User("alice".into())));
    assert_eq!(verify("alice", "wrong").await, Err(LoginRefusal::Wrong));
    assert_eq!(verify("bob", "right").await, Err(LoginRefusal::Wrong));
    assert_eq!(verify("Alice", "right").await, Err(LoginRefusal::Wrong));
    assert_eq!(verify("alice", &"x".repeat(100)).await, Err(LoginRefusal::Wrong), "too long for bcrypt");
    assert_eq!(passwords.failed(), 4);
}

#[tokio::test]
async fn a_changed_line_ends_remembered_logins() {
    let passwords = Passwords::default();
    let before = users(&[("alice", "old")]);
    assert!(verify(&passwords, &before, &as_user("alice", "old")).await.is_ok());
    let after = users(&[("alice", "new")]);
    assert_eq!(verify(&passwords, &after, &as_user("alice", "old")).await, Err(LoginRefusal::Wrong));
    assert_eq!(verify(&passwords, &users(&[]), &as_user("alice", "old")).await, Err(LoginRefusal::Wrong));
}

#[test]
fn a_right_password_is_remembered_while_it_is_used_up_to_the_bound() {
    let limits = LoginLimits::default();
    let at = Duration::from_secs;
    let remembered = Remembered::new(&[0; 32], at(1000));
    assert!(remembered.is_fresh(at(1120), &limits));
    assert!(remembered.is_fresh(at(1240), &limits), "the last use counts");
    assert!(!remembered.is_fresh(at(1361), &limits), "121 s after it");
    let remembered = Remembered::new(&[0; 32], at(1000));
    let used = (1000..).step_by(100).take_while(|second| remembered.is_fresh(at(*second), &limits));
    assert_eq!(used.last(), Some(4600));
    let early = Remembered::new(&[255; 32], at(0));
    let used = (0..).take_while(|second| early.is_fresh(at(*second), &limits));
    assert_eq!(used.last(), Some(2703), "others earlier, by up to a quarter");
}

/// A client that pulls all the time used to get a 429 when its password expired during an attack.
#[tokio::test]
async fn a_password_that_was_right_before_comes_first_and_is_never_refused() {
    let (passwords, users) = (Passwords::with_places(1), users(&[("alice", "right"), ("bob", "right")]));
    // Forgotten at once, and no time to wait.
    let limits =
        LoginLimits { waiting: 1, wait: Duration::ZERO, remember_most: Duration::ZERO, ..LoginLimits::default() };
    let (alice, bob) = (as_user("alice", "right"), as_user("bob", "right"));
    assert!(passwords.verify(&users, &alice, None, &limits).await.is_ok());
    let hashing = occupy(&passwords);
    let mut due = Box::pin(passwords.verify(&users, &alice, None, &limits));
    assert_eq!(begin(&mut due).await, None, "it waits");
    assert_eq!(passwords.verify(&users, &bob, None, &limits).await, BUSY, "there is no room for a stranger");
    drop(hashing);
    assert_eq!(due.await, Ok(Subject::User("alice".into())));
    assert!(passwords.verify(&users, &bob, None, &limits).await.is_ok());
}

#[tokio::test]
async fn concurrent_logins_with_the_same_password_share_one_hash() {
    let (passwords, users) = (Passwords::with_places(1), users(&[("alice", "right")]));
    for (password, right) in [("right", true), ("wrong", false)] {
        let (credentials, limits) = (as_user("alice", password), LoginLimits::default());
        let hashing = occupy(&passwords);
        let ask = || Box::pin(passwords.verify(&users, &credentials, None, &limits));
        let (mut first, mut second, mut third) = (ask(), ask(), ask());
        for waiting in [&mut first, &mut second, &mut third] {
            assert_eq!(begin(waiting).await, None);
        }
        drop(second);
        drop(hashing);
        let (first, third) = tokio::join!(first, third);
        assert_eq!((first.is_ok(), third.is_ok()), (right, right));
        drop(occupy(&passwords));
    }
}

#[tokio::test(start_paused = true)]
async fn strangers_wait_for_a_bounded_time_and_permits_are_never_lost() {
    let (passwords, users) = (Passwords::with_places(1), users(&[("alice", "right"), ("bob", "right")]));
    let hashing = occupy(&passwords);
    let limits = LoginLimits::default();
    let (alice, bob) = (as_user("alice", "right"), as_user("bob", "right"));
    let begun = tokio::time::Instant::now();
    assert_eq!(passwords.verify(&users, &alice, None, &limits).await, BUSY);
    assert_eq!(begun.elapsed(), limits.wait);
    // One request disconnects while it waits, another when its turn comes.
    let mut gone = Box::pin(passwords.verify(&users, &alice, None, &limits));
    assert_eq!(begin(&mut gone).await, None);
    drop(gone);
    let mut late = Box::pin(passwords.verify(&users, &bob, None, &limits));
    assert_eq!(begin(&mut late).await, None);
    drop(hashing);
    drop(late);
    tokio::time::resume();
    assert!(passwords.verify(&users, &alice, None, &limits).await.is_ok());
}

/// Guesses from many addresses, more than can ever be hashed, while a user logs in.
#[tokio::test]
async fn a_first_login_succeeds_while_thousands_guess() {
    let (passwords, users) =
        (Arc::new(Passwords::with_places(1)), Arc::new(users(&[("alice", "right"), ("bob", "right")])));
    let guess = |i: u32, password: String, from: IpAddr| {
        let (passwords, users) = (passwords.clone(), users.clone());
        tokio::spawn(async move {
            let name = if i.is_multiple_of(2) { "alice".to_owned() } else { format!("nobody-{i}") };
            passwords.verify(&users, &as_user(&name, &password), Some(from), &LoginLimits::default()).await
        })
    };
    let address = |i: u32| IpAddr::from((0x0a00_0000 + (i << 8)).to_be_bytes());
    // Every address has guessed once and guesses again.
    let mut guesses: Vec<_> = (0..2000).map(|i| guess(i, format!("{i}"), address(i % 1000))).collect();
    tokio::task::yield_now().await;
    let from = Some("198.51.100.7".parse().unwrap());
    let login = passwords.verify(&users, &as_user("alice", "right"), from, &LoginLimits::default()).await;
    assert_eq!(login, Ok(Subject::User("alice".into())));
    guesses.push(guess(1, "late".to_owned(), address(1)));
    let mut refused = 0;
    for guess in guesses {
        match guess.await.unwrap() {
            Err(LoginRefusal::Busy(_)) => refused += 1,
            Err(LoginRefusal::Wrong) => {}
            Ok(subject) => panic!("{subject} guessed right"),
        }
    }
    assert!(refused > 1000, "{refused}: there was no contention");
}
