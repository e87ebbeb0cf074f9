//! Random programs of two or three threads on one gate. Under every schedule the history must be
//! linearizable: the sequential reference gives the same results in some order of the operations.
//!
//! A seed generates the same programs everywhere. A failure prints the program and its history.

use std::{
    collections::HashSet,
    env,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::{
    history::{History, Limit},
    program_thread::{ProgramContext, ProgramThread, Step},
    reference::Reference,
    *,
};

/// The maximum number of schedules explored for one program. Few programs have as many.
const MAX_SCHEDULES: usize = 6_000;

/// Marsaglia's xorshift, the only source of randomness.
struct Xorshift(u64);

impl Xorshift {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            random.below(2);
        }
        random
    }

    /// Returns a number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound
    }

    /// Returns `true` once in `n` times on average.
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// The kind of programs that a test generates.
#[derive(Clone, Copy, Debug)]
struct ProgramKind {
    threads: usize,
    weighted: bool,
    /// Whether the prologue subscribes.
    subscribed: bool,
    preemptions: usize,
    /// The number of programs, unless the environment sets another.
    programs: usize,
}

#[derive(Clone, Debug)]
struct Program {
    capacity: usize,
    room: usize,
    kind: GateKind,
    past_admissions: u32,
    has_clock: bool,
    /// Steps that run before the threads start, each with the index of the thread that it belongs to.
    prologue: Vec<(usize, Step)>,
    threads: Vec<Vec<Step>>,
}

impl Program {
    fn new(kind: ProgramKind, random: &mut Xorshift) -> Self {
        let capacity = 1 + random.below(2);
        let room = random.below(3);
        let mut prologue = Vec::new();
        // A gate that has been full before admits without the lock.
        if random.one_in(2) {
            prologue.extend((0..capacity).map(|_| (0, Step::Now(1))));
            prologue.extend((0..capacity).map(|_| (0, Step::Release)));
        }
        if kind.subscribed {
            prologue.push((0, Step::Subscribe(true)));
        }
        for _ in 0..random.below(5) {
            let step = match random.below(9) {
                0..4 => Step::Wait(cost(kind, random)),
                4..6 => Step::Now(cost(kind, random)),
                6 => Step::Reconfigure(1 + random.below(3), random.below(3)),
                7 => Step::Pause,
                _ => Step::JoinDrain,
            };
            prologue.push((random.below(kind.threads), step));
        }
        let max_steps = if kind.threads == 2 { 3 } else { 2 };
        let thread = |_| (0..1 + random.below(max_steps)).map(|_| step(kind, random)).collect();
        let threads = (0..kind.threads).map(thread).collect();
        let past_admissions =
            if random.one_in(6) { Word::MOST_ADMISSIONS - random.below(3) as u32 } else { 0 };
        let has_clock = random.one_in(2);
        let kind = match kind.weighted {
            true => GateKind::Weighted,
            // Either kind, at random: their promises are the same.
            false if random.one_in(3) => GateKind::Partition,
            false => GateKind::Plain,
        };
        Self { capacity, room, kind, past_admissions, has_clock, prologue, threads }
    }

    /// Runs the program under the current schedule of the model and returns its history.
    fn run(&self) -> History {
        let (capacity, room) = (self.capacity as u32, self.room as u32);
        let context = ProgramContext {
            gate: SharedGate::with_past_admissions(capacity, room, self.kind, self.past_admissions),
            recorder: Arc::default(),
            clock: self.has_clock.then(Arc::default),
        };
        // One sequence of records, in the order of the prologue and not by thread.
        let mut prologue = Vec::new();
        let mut threads: Vec<_> = (1..=self.threads.len()).map(ProgramThread::new).collect();
        for &(thread, step) in &self.prologue {
            threads[thread].perform(&context, step);
            prologue.append(&mut threads[thread].records);
        }
        let start = |(mut thread, steps): (ProgramThread, Vec<Step>)| {
            let context = context.clone();
            thread::spawn(move || {
                steps.into_iter().for_each(|step| thread.perform(&context, step));
                thread
            })
        };
        let steps = self.threads.iter().cloned();
        let running: Vec<_> = threads.into_iter().zip(steps).map(start).collect();
        let mut epilogue = ProgramThread::new(0);
        let threads = running.into_iter().map(|thread| {
            let mut thread = join_thread(thread);
            let records = std::mem::take(&mut thread.records);
            epilogue.take_over(thread);
            records
        });
        let threads = threads.collect();
        epilogue.finish(&context);
        let woken = epilogue.woken();
        History { prologue, threads, epilogue: epilogue.records, woken }
    }

    fn explore(self, preemptions: usize) -> usize {
        let past_admissions = u64::from(self.past_admissions);
        let weighted = self.kind == GateKind::Weighted;
        let start = Reference::new(self.capacity, self.room, weighted, past_admissions);
        let checked = StdMutex::new(HashSet::new());
        explore_some(preemptions, Some(MAX_SCHEDULES), move || {
            let history = self.run();
            let mut hasher = DefaultHasher::new();
            history.hash(&mut hasher);
            // Most schedules have the same history.
            if checked.lock().expect("not poisoned").insert(hasher.finish()) {
                assert!(
                    history.is_linearizable_from(&start),
                    "not linearizable\n{self:#?}\n{history:#?}"
                );
            }
        })
    }
}

fn cost(kind: ProgramKind, random: &mut Xorshift) -> usize {
    match kind.weighted {
        true => [1, 1, 1, 1, 2, 2, 2, 0][random.below(8)],
        false => 1,
    }
}

fn limit(random: &mut Xorshift) -> Limit {
    if random.one_in(2) { Limit::Wait } else { Limit::Deadline }
}

fn step(kind: ProgramKind, random: &mut Xorshift) -> Step {
    match random.below(45) {
        0..4 => Step::Now(cost(kind, random)),
        4..10 => Step::Wait(cost(kind, random)),
        10 => Step::Late(cost(kind, random), limit(random)),
        11..15 => Step::Release,
        15..17 => Step::ReleaseTimed,
        17..19 => Step::CutShort,
        19 => Step::Abandon { by_deadline: random.one_in(2) },
        20..22 => Step::Poll,
        22..24 => Step::Expire(limit(random)),
        24..26 => Step::Cancel,
        26..29 => Step::Resize(1 + random.below(3)),
        29 => Step::Close,
        30..32 => Step::Snapshot,
        32 => Step::Subscribe(true),
        33 => Step::Subscribe(false),
        34 => Step::JoinDrain,
        35..38 => Step::Reconfigure(1 + random.below(3), random.below(4)),
        38 => Step::Inspect,
        39..41 => Step::Pause,
        41..43 => Step::Resume,
        43 => Step::Drain,
        _ => Step::JoinClosing,
    }
}

fn env_number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text}")))
}

/// Generates programs of a kind and explores each.
fn explore_programs(kind: ProgramKind) {
    let programs = env_number("BULKLINK_MODEL_PROGRAMS").unwrap_or(kind.programs as u64);
    let seed = env_number("BULKLINK_MODEL_SEED").unwrap_or(0);
    let salt =
        (kind.threads * 4 + usize::from(kind.weighted) * 2 + usize::from(kind.subscribed)) as u64;
    let mut schedules = 0;
    for number in seed..seed + programs {
        let mut random = Xorshift::new(number << 8 | salt);
        schedules += Program::new(kind, &mut random).explore(kind.preemptions);
    }
    let test = std::thread::current();
    let name = test.name().unwrap_or("programs").to_owned();
    println!("{name}, {programs} programs: {schedules} schedules");
}

/// Two threads, operations of one unit.
#[test]
fn programs_of_two_threads_are_linearizable() {
    explore_programs(ProgramKind {
        threads: 2,
        weighted: false,
        subscribed: false,
        preemptions: 3,
        programs: 80,
    });
}

/// Three threads, operations of one unit.
#[test]
fn programs_of_three_threads_are_linearizable() {
    explore_programs(ProgramKind {
        threads: 3,
        weighted: false,
        subscribed: false,
        preemptions: 2,
        programs: 60,
    });
}

/// Operations of cost 1 and 2, and some of the invalid cost 0.
#[test]
fn weighted_programs_are_linearizable() {
    explore_programs(ProgramKind {
        threads: 3,
        weighted: true,
        subscribed: false,
        preemptions: 2,
        programs: 60,
    });
}

/// A subscriber receives what happened, in that order and with the right numbers.
#[test]
fn events_of_programs_are_linearizable() {
    explore_programs(ProgramKind {
        threads: 3,
        weighted: false,
        subscribed: true,
        preemptions: 2,
        programs: 60,
    });
}

/// The same with different costs.
#[test]
fn events_of_weighted_programs_are_linearizable() {
    explore_programs(ProgramKind {
        threads: 2,
        weighted: true,
        subscribed: true,
        preemptions: 3,
        programs: 60,
    });
}
