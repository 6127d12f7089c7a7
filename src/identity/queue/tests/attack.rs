//! A simulated attack: who can log in while 10,000 addresses send 500 guesses a second.

use super::*;
use std::collections::HashMap;

const ATTACKERS: u64 = 10_000;
const BETWEEN_GUESSES: Duration = Duration::from_millis(2);
const LASTS: Duration = Duration::from_secs(600);

/// Until then, more guesses come from new addresses than can be hashed, and a login, which looks the same, is chosen
/// among them at random. Later hardly any address is new.
const BEGINS: Duration = Duration::from_secs(100);

/// The daemon's default.
const MOST_WAITING: usize = 256;
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const COME_BACK: Duration = Duration::from_secs(5);

struct Attack {
    /// How long a hash takes; one runs at a time, as on a machine with two cores.
    hash: Duration,
    /// The user name of a guess.
    names: fn(dice: u64) -> String,
}

#[derive(Clone, Copy)]
enum Who {
    Attacker,
    /// A user who logs in for the first time, and when they started.
    Newcomer(u64, Duration),
    /// A working client whose password has expired from memory.
    Client(Duration),
}

enum Event {
    Guess,
    Login(u64, Duration),
    Due(u64),
    Hashed(u64),
    WaitedTooLong(u64, QueuePosition),
}

struct World {
    queue: HashingQueue<u64>,
    naming: Naming,
    hash: Duration,
    now: Duration,
    events: BTreeMap<(Duration, u64), Event>,
    /// Claims that wait or are being hashed.
    asking: HashMap<u64, (Who, Claim)>,
    ids: u64,
    dice: u64,
    /// Start and duration of each login, and how long the client was delayed.
    logins: Vec<(Duration, Duration)>,
    clients: Vec<Duration>,
    guessed: u64,
    hashed: u64,
}

impl World {
    fn new(hash: Duration) -> Self {
        Self {
            queue: HashingQueue::new(1),
            naming: Naming::default(),
            hash,
            now: Duration::ZERO,
            events: BTreeMap::new(),
            asking: HashMap::new(),
            ids: 0,
            dice: 7,
            logins: Vec::new(),
            clients: Vec::new(),
            guessed: 0,
            hashed: 0,
        }
    }

    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn throw(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.dice >> 33
    }

    fn at(&mut self, time: Duration, event: Event) {
        let id = self.id();
        self.events.insert((time, id), event);
    }

    fn ask(&mut self, who: Who, user: &str, from: IpAddr) {
        let id = self.id();
        let mut key = [0; 32];
        key[..8].copy_from_slice(&id.to_le_bytes());
        let claim = self.naming.claim(key, matches!(who, Who::Client(_)), user, Some(from));
        self.asking.insert(id, (who, claim.clone()));
        match self.queue.arrive(&claim, id, MOST_WAITING, self.now) {
            Arrival::Place => self.hash_one(id),
            Arrival::Refused => self.refused(id),
            Arrival::Waits(turn, sent_away) => {
                if let Some(sent_away) = sent_away {
                    self.refused(sent_away);
                }
                if !claim.is_proven {
                    self.at(self.now + LONGEST_WAIT, Event::WaitedTooLong(id, turn));
                }
            }
        }
    }

    fn hash_one(&mut self, id: u64) {
        self.hashed += 1;
        self.at(self.now + self.hash, Event::Hashed(id));
    }

    fn refused(&mut self, id: u64) {
        match self.asking.remove(&id).unwrap().0 {
            Who::Attacker => {}
            Who::Newcomer(number, since) => self.at(self.now + COME_BACK, Event::Login(number, since)),
            Who::Client(_) => panic!("a client at work was refused"),
        }
    }

    fn run(&mut self, names: fn(u64) -> String) {
        self.at(Duration::ZERO, Event::Guess);
        for number in 0..LASTS.as_secs() {
            let at = Duration::from_millis(number * 1000 + number * 377 % 1000);
            self.at(at, Event::Login(number, at));
            if number.is_multiple_of(2) {
                self.at(at + Duration::from_millis(333), Event::Due(number));
            }
        }
        while let Some(((now, _), event)) = self.events.pop_first() {
            self.now = now;
            match event {
                Event::Guess if now >= LASTS => {}
                Event::Guess => {
                    let (from, name) = (self.throw() % ATTACKERS, self.throw());
                    // One address in each of many networks: the worst case for an order that compares networks.
                    let from = IpAddr::from((0x1400_0000 + from as u32 * 0x1_0700).to_be_bytes());
                    self.guessed += 1;
                    self.ask(Who::Attacker, &names(name), from);
                    self.at(now + BETWEEN_GUESSES, Event::Guess);
                }
                Event::Login(number, since) => {
                    let from = IpAddr::from((0xc600_0000 + number as u32 * 0x1_0107).to_be_bytes());
                    self.ask(Who::Newcomer(number, since), &format!("user-{}", number % 100), from);
                }
                Event::Due(number) => {
                    self.ask(Who::Client(now), &format!("user-{number}"), IpAddr::from([172, 16, 0, 1]));
                }
                Event::Hashed(id) => {
                    let (who, claim) = self.asking.remove(&id).unwrap();
                    match who {
                        Who::Attacker => {}
                        Who::Newcomer(_, since) => {
                            self.queue.confirm(&claim, now);
                            self.logins.push((since, now - since));
                        }
                        Who::Client(since) => self.clients.push(now - since),
                    }
                    if let Some(next) = self.queue.next() {
                        self.hash_one(next);
                    }
                }
                Event::WaitedTooLong(id, turn) => {
                    if self.queue.waiting.contains_key(&turn) {
                        self.queue.leave(&turn, now);
                        self.refused(id);
                    }
                }
            }
        }
    }
}

fn percentile(of: &mut [Duration], percent: usize) -> Duration {
    of.sort_unstable();
    of[(of.len() * percent).div_ceil(100) - 1]
}

fn hold_out(attack: &Attack) {
    let mut world = World::new(attack.hash);
    world.run(attack.names);
    assert_eq!((world.logins.len(), world.clients.len()), (600, 300), "everybody gets in");
    let (early, late): (Vec<_>, Vec<_>) = world.logins.iter().partition(|(since, _)| *since < BEGINS);
    let took = |logins: Vec<(Duration, Duration)>| -> Vec<_> { logins.into_iter().map(|(_, took)| took).collect() };
    let (mut early, mut late) = (took(early), took(late));
    let [half, most, all] = [50, 95, 100].map(|percent| percentile(&mut late, percent));
    let held_up = percentile(&mut world.clients, 100);
    println!(
        "{} guesses, {} hashes of {:?}: first login p50 {half:?}, p95 {most:?}, max {all:?}, in the first {BEGINS:?} \
         p50 {:?}; clients at work max {held_up:?}",
        world.guessed,
        world.hashed,
        attack.hash,
        percentile(&mut early, 50),
    );
    assert!(most <= Duration::from_secs(3), "p95 {most:?}");
    assert!(held_up <= Duration::from_secs(1), "{held_up:?}");
}

const SLOW: Duration = Duration::from_millis(250);
const FAST: Duration = Duration::from_millis(60);

#[test]
fn newcomers_get_in_while_their_own_names_are_guessed() {
    for hash in [FAST, SLOW] {
        hold_out(&Attack { hash, names: |dice| format!("user-{}", dice % 100) });
    }
}

#[test]
fn newcomers_get_in_while_unknown_names_are_guessed() {
    hold_out(&Attack { hash: SLOW, names: |dice| format!("name-{dice}") });
}

#[test]
fn newcomers_get_in_while_one_name_is_guessed() {
    hold_out(&Attack { hash: SLOW, names: |_| "root".to_owned() });
}
