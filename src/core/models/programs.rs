//! Programs made at random: what two or three threads do to one gate, explored in every order, has to
//! follow from the rules in some order of one thing after another.
//!
//! A seed makes the same programs everywhere. A failure prints the program and what it did.

use std::{
    collections::HashSet,
    env,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::{
    history::History,
    program_thread::{Hand, Site, Step},
    reference::Reference,
    *,
};

/// Orders of one program that are explored at most. Few programs have as many.
const MOST_SCHEDULES: usize = 6_000;

/// Marsaglia's xorshift: all the randomness there is.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            dice.roll(2);
        }
        dice
    }

    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % sides
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }
}

/// What kind of programs a test is about.
#[derive(Clone, Copy, Debug)]
struct Kind {
    threads: usize,
    weighted: bool,
    /// Whether a subscriber is there from the beginning.
    subscribed: bool,
    preemptions: usize,
    /// How many programs there are unless the environment says otherwise.
    programs: usize,
}

#[derive(Clone, Debug)]
struct Program {
    capacity: usize,
    room: usize,
    kind: GateKind,
    age: u32,
    timed: bool,
    /// Carried out before the threads begin, each step by the hand of a thread.
    prologue: Vec<(usize, Step)>,
    threads: Vec<Vec<Step>>,
}

impl Program {
    fn new(kind: Kind, dice: &mut Dice) -> Self {
        let capacity = 1 + dice.roll(2);
        let room = dice.roll(3);
        let mut prologue = Vec::new();
        // A gate that has been full before admits without its lock.
        if dice.one_in(2) {
            prologue.extend((0..capacity).map(|_| (0, Step::Now(1))));
            prologue.extend((0..capacity).map(|_| (0, Step::Release)));
        }
        if kind.subscribed {
            prologue.push((0, Step::Subscribe(true)));
        }
        for _ in 0..dice.roll(5) {
            let step = match dice.roll(8) {
                0..4 => Step::Wait(cost(kind, dice)),
                4..6 => Step::Now(cost(kind, dice)),
                6 => Step::Resize(1 + dice.roll(3)),
                _ => Step::AwaitDrain,
            };
            prologue.push((dice.roll(kind.threads), step));
        }
        let most = if kind.threads == 2 { 3 } else { 2 };
        let thread = |_| (0..1 + dice.roll(most)).map(|_| step(kind, dice)).collect();
        let threads = (0..kind.threads).map(thread).collect();
        let age = if dice.one_in(6) { Word::MOST_ADMISSIONS - dice.roll(3) as u32 } else { 0 };
        let timed = dice.one_in(2);
        let kind = match kind.weighted {
            true => GateKind::Weighted,
            // One at random, since they promise the same.
            false if dice.one_in(3) => GateKind::Partition,
            false => GateKind::Plain,
        };
        Self { capacity, room, kind, age, timed, prologue, threads }
    }

    /// Carries it out in the order that the model is in, and says what it did.
    fn run(&self) -> History {
        let (capacity, room) = (self.capacity as u32, self.room as u32);
        let site = Site {
            gate: Shared::aged(capacity, room, self.kind, self.age),
            recorder: Arc::default(),
            clock: self.timed.then(Arc::default),
        };
        // In the order of the prologue, whoever's hand it is.
        let mut prologue = Vec::new();
        let mut hands: Vec<_> = (1..=self.threads.len()).map(Hand::new).collect();
        for &(thread, step) in &self.prologue {
            hands[thread].perform(&site, step);
            prologue.append(&mut hands[thread].records);
        }
        let start = |(mut hand, steps): (Hand, Vec<Step>)| {
            let site = site.clone();
            thread::spawn(move || {
                steps.into_iter().for_each(|step| hand.perform(&site, step));
                hand
            })
        };
        let steps = self.threads.iter().cloned();
        let running: Vec<_> = hands.into_iter().zip(steps).map(start).collect();
        let mut last = Hand::new(0);
        let threads = running.into_iter().map(|thread| {
            let mut hand = ended(thread);
            let records = std::mem::take(&mut hand.records);
            last.adopt(hand);
            records
        });
        let threads = threads.collect();
        last.finish(&site);
        let woken = last.woken();
        History { prologue, threads, epilogue: last.records, woken }
    }

    fn explore(self, preemptions: usize) -> usize {
        let age = u64::from(self.age);
        let weighted = self.kind == GateKind::Weighted;
        let start = Reference::new(self.capacity, self.room, weighted, age);
        let explained = Ledger::new(HashSet::new());
        explore_some(preemptions, Some(MOST_SCHEDULES), move || {
            let history = self.run();
            let mut hasher = DefaultHasher::new();
            history.hash(&mut hasher);
            // Most orders come to the same history.
            if explained.lock().expect("not poisoned").insert(hasher.finish()) {
                assert!(
                    history.is_explained_from(&start),
                    "no order explains\n{self:#?}\n{history:#?}"
                );
            }
        })
    }
}

fn cost(kind: Kind, dice: &mut Dice) -> usize {
    match kind.weighted {
        true => [1, 1, 1, 1, 2, 2, 2, 0][dice.roll(8)],
        false => 1,
    }
}

fn step(kind: Kind, dice: &mut Dice) -> Step {
    match dice.roll(32) {
        0..4 => Step::Now(cost(kind, dice)),
        4..9 => Step::Wait(cost(kind, dice)),
        9 => Step::Late(cost(kind, dice)),
        10..15 => Step::Release,
        15 => Step::Abandon,
        16..18 => Step::Look,
        18..20 => Step::Expire,
        20..22 => Step::Cancel,
        22..25 => Step::Resize(1 + dice.roll(3)),
        25 => Step::Close,
        26..28 => Step::Snapshot,
        28 => Step::Subscribe(true),
        29 => Step::Subscribe(false),
        30 => Step::AwaitDrain,
        _ => Step::Inspect,
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")))
}

/// Makes programs of a kind and explores each.
fn explore_programs(kind: Kind) {
    let programs = number("BULKLINK_MODEL_PROGRAMS").unwrap_or(kind.programs as u64);
    let seed = number("BULKLINK_MODEL_SEED").unwrap_or(0);
    let salt =
        (kind.threads * 4 + usize::from(kind.weighted) * 2 + usize::from(kind.subscribed)) as u64;
    let mut schedules = 0;
    for number in seed..seed + programs {
        let mut dice = Dice::new(number << 8 | salt);
        schedules += Program::new(kind, &mut dice).explore(kind.preemptions);
    }
    let test = std::thread::current();
    let name = test.name().unwrap_or("programs").to_owned();
    println!("{name}, {programs} programs: {schedules} schedules");
}

/// Two threads at a gate of operations of one unit.
#[test]
fn programs_of_two_threads_follow_from_the_rules() {
    explore_programs(Kind {
        threads: 2,
        weighted: false,
        subscribed: false,
        preemptions: 3,
        programs: 80,
    });
}

/// Three threads at such a gate.
#[test]
fn programs_of_three_threads_follow_from_the_rules() {
    explore_programs(Kind {
        threads: 3,
        weighted: false,
        subscribed: false,
        preemptions: 2,
        programs: 60,
    });
}

/// Operations of cost 1 and 2, and some that cost nothing.
#[test]
fn weighted_programs_follow_from_the_rules() {
    explore_programs(Kind {
        threads: 3,
        weighted: true,
        subscribed: false,
        preemptions: 2,
        programs: 60,
    });
}

/// What a subscriber is told is what happened, in its order and with its numbers.
#[test]
fn events_of_programs_follow_from_the_rules() {
    explore_programs(Kind {
        threads: 3,
        weighted: false,
        subscribed: true,
        preemptions: 2,
        programs: 60,
    });
}

/// The same where costs differ.
#[test]
fn events_of_weighted_programs_follow_from_the_rules() {
    explore_programs(Kind {
        threads: 2,
        weighted: true,
        subscribed: true,
        preemptions: 3,
        programs: 60,
    });
}
