use super::*;

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// A queue with a single place, which is taken; tickets are names.
struct Rig {
    queue: HashingQueue<String>,
    naming: Naming,
    claims: u32,
    most: usize,
    now: Duration,
}

impl Rig {
    fn new(most: usize) -> Self {
        let mut rig =
            Self { queue: HashingQueue::new(1), naming: Naming::default(), claims: 0, most, now: Duration::ZERO };
        let first = rig.claim("first", "192.0.2.255");
        assert_eq!(rig.queue.arrive(&first, "first".to_owned(), 0, rig.now), Arrival::Place);
        rig
    }

    fn claim(&mut self, user: &str, from: &str) -> Claim {
        self.claims += 1;
        let mut key = [0; 32];
        key[..4].copy_from_slice(&self.claims.to_le_bytes());
        self.naming.claim(key, false, user, address(from))
    }

    fn arrive(&mut self, ticket: &str, claim: &Claim) -> Arrival<String> {
        self.queue.arrive(claim, ticket.to_owned(), self.most, self.now)
    }

    /// Tries a password of a user; the ticket is the user and the address.
    fn guess(&mut self, user: &str, from: &str) -> Arrival<String> {
        let claim = self.claim(user, from);
        self.arrive(&format!("{user}@{from}"), &claim)
    }

    fn order(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.queue.next()).collect()
    }
}

#[test]
fn callers_with_fewer_tries_come_first_and_networks_count_as_one() {
    let mut rig = Rig::new(100);
    for i in 1..=9 {
        rig.guess("root", &format!("203.0.113.{i}"));
        rig.guess("admin", &format!("2001:db8::{i}"));
    }
    rig.guess("alice", "198.51.100.1");
    rig.guess("bob", "203.0.113.200");
    let order = rig.order();
    let place = |who: &str| order.iter().position(|other| other == who).unwrap();
    assert_eq!(place("alice@198.51.100.1"), 0, "a network that has tried nothing");
    assert!(place("root@203.0.113.1") <= 2 && place("admin@2001:db8::1") <= 2, "the first of each network: {order:?}");
    assert!(place("bob@203.0.113.200") > 2, "a neighbour of theirs: {order:?}");
    assert!(place("bob@203.0.113.200") < place("root@203.0.113.9"), "but a name nobody tries: {order:?}");
}

#[test]
fn many_neighbouring_networks_soon_count_as_one() {
    let mut rig = Rig::new(10_000);
    for i in 0..400 {
        rig.guess(&format!("user-{i}"), &format!("2001:db8:7:{i:x}::1"));
    }
    rig.guess("alice", "2001:db8:8::1");
    for i in 400..500 {
        rig.guess(&format!("user-{i}"), &format!("2001:db8:7:{i:x}::1"));
    }
    let order = rig.order();
    let alice = order.iter().position(|who| who.starts_with("alice")).unwrap();
    assert!(alice < usize::try_from(WIDE_SHARE).unwrap(), "after {alice}");
}

#[test]
fn a_burst_from_one_address_delays_nobody_else() {
    let mut rig = Rig::new(256);
    for i in 0..256 {
        assert!(matches!(rig.guess(&format!("user-{i}"), "203.0.113.9"), Arrival::Waits(_, None)));
    }
    let Arrival::Waits(_, Some(gone)) = rig.guess("alice", "198.51.100.1") else {
        panic!("the least trusted makes room")
    };
    assert!(gone.ends_with("@203.0.113.9"));
    for i in 0..300 {
        rig.guess(&format!("user-{i}"), "203.0.113.9");
    }
    let order = rig.order();
    assert_eq!((order.len(), order[0].as_str()), (256, "alice@198.51.100.1"));
}

#[test]
fn the_number_of_waiting_claims_is_limited_except_for_proven_ones() {
    let mut rig = Rig::new(2);
    assert!(matches!(rig.guess("a", "10.0.0.1"), Arrival::Waits(_, None)));
    assert!(matches!(rig.guess("a", "10.0.0.1"), Arrival::Waits(_, None)));
    assert_eq!(rig.guess("a", "10.0.0.1"), Arrival::Refused);
    for i in 0..5 {
        let proven = Claim { is_proven: true, ..rig.claim("client", "10.0.0.1") };
        assert!(!matches!(rig.arrive(&format!("proven {i}"), &proven), Arrival::Refused));
    }
    let order = rig.order();
    assert_eq!(order.len(), 5, "{order:?}");
    assert!(order.iter().all(|who| who.starts_with("proven")), "{order:?}");
}

#[test]
fn a_known_name_and_address_comes_before_strangers_until_it_keeps_being_wrong() {
    let mut rig = Rig::new(1000);
    let alice = rig.claim("alice", "203.0.113.9");
    rig.arrive("alice", &alice);
    rig.queue.confirm(&alice, rig.now);
    // Guesses from that address give its network many attempts.
    for _ in 0..100 {
        rig.guess("root", "203.0.113.9");
    }
    rig.guess("bob", "198.51.100.1");
    for i in 0..=MOST_WRONG {
        let again = rig.claim("alice", "203.0.113.9");
        rig.arrive(&format!("alice again {i}"), &again);
    }
    let elsewhere = rig.claim("alice", "203.0.113.10");
    rig.arrive("alice elsewhere", &elsewhere);
    let order = rig.order();
    let first: Vec<_> = order.iter().take(MOST_WRONG as usize + 1).map(String::as_str).collect();
    assert_eq!(first[MOST_WRONG as usize], "bob@198.51.100.1", "{order:?}");
    assert!(first[..MOST_WRONG as usize].iter().all(|who| who.starts_with("alice again")), "{order:?}");
    // A correct password makes the pair known again.
    rig.queue.confirm(&alice, rig.now);
    assert_eq!(rig.queue.arrive(&alice, String::new(), 0, rig.now), Arrival::Place);
    rig.guess("carol", "192.0.2.77");
    let again = rig.claim("alice", "203.0.113.9");
    rig.arrive("alice", &again);
    assert_eq!(rig.order()[0], "alice");
}

#[test]
fn a_right_password_does_not_count_as_a_try_and_tries_fade_with_time() {
    let mut rig = Rig::new(1000);
    let tries = |rig: &mut Rig| {
        let claim = rig.claim("alice", "203.0.113.9");
        super::tries(&rig.queue.networks, claim.network.unwrap(), rig.now)
    };
    for _ in 0..8 {
        rig.guess("alice", "203.0.113.9");
    }
    let right = rig.claim("alice", "203.0.113.9");
    rig.arrive("alice", &right);
    assert_eq!(tries(&mut rig), 9, "it counts before it is known to be right");
    rig.queue.confirm(&right, rig.now);
    assert_eq!(tries(&mut rig), 8);
    let half_life = Duration::from_secs(HALF_LIFE.into());
    rig.now += half_life - Duration::from_secs(1);
    assert_eq!(tries(&mut rig), 8);
    rig.now += Duration::from_secs(1);
    assert_eq!(tries(&mut rig), 4);
    rig.guess("alice", "203.0.113.9");
    rig.now += half_life - Duration::from_secs(1);
    assert_eq!(tries(&mut rig), 5, "it has not been quiet for long enough");
    rig.now += 40 * half_life;
    assert_eq!(tries(&mut rig), 0);
}

#[test]
fn an_unanswered_claim_does_not_count_as_a_try_and_is_no_longer_new() {
    let mut rig = Rig::new(1);
    rig.guess("bob", "198.51.100.1");
    let of = rig.claim("alice", "203.0.113.9");
    for _ in 0..5 {
        assert!(matches!(rig.guess("alice", "203.0.113.9"), Arrival::Refused | Arrival::Waits(_, Some(_))));
        assert_eq!(tries(&rig.queue.networks, of.network.unwrap(), rig.now), 1);
    }
}

#[test]
fn claims_that_share_a_result_or_have_left_take_no_turn() {
    let mut rig = Rig::new(10);
    let claim = rig.claim("alice", "203.0.113.9");
    rig.arrive("one", &claim);
    rig.arrive("two", &claim);
    let Arrival::Waits(turn, None) = rig.guess("gone", "198.51.100.1") else { panic!() };
    rig.guess("bob", "198.51.100.9");
    let mut same = rig.queue.answered(&claim.key);
    same.sort();
    assert_eq!(same, ["one", "two"]);
    assert_eq!(rig.queue.leave(&turn, rig.now).as_deref(), Some("gone@198.51.100.1"));
    assert_eq!(rig.order(), ["bob@198.51.100.9"]);
}

mod attack;
