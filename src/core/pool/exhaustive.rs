//! All that can happen to a small pool in a few steps, and random walks through larger ones: after every step, the invariants of
//! [`rules`](super::rules) hold.
//!
//! `BULKLINK_POOL_DEPTH` sets how many steps are gone through.

use super::{
    members::{Order, Share},
    rules::{PoolLimits, Rules},
};
use crate::core::clock::Nanos;

/// Tags are compared by slots of so many ticks, as a power of two.
const SLOT_BITS: u32 = 4;

/// Nanoseconds per tick, as a power of two.
const TICK_BITS: u32 = 10;

const MEMBERS: usize = 3;

/// Tests only: what a pool shows of itself.
impl Rules {
    fn rank(&mut self, member: u32) -> u64 {
        self.touch(member);
        self.members.all[member as usize].rank(self.typical.ticks())
    }

    fn assert_invariants(&self) {
        let all = &self.members.all;
        let state = self.state();
        assert_eq!(state.used, all.iter().map(|member| member.held).sum::<u32>());
        assert_eq!(state.waiting, all.iter().map(|member| member.waiting).sum::<u32>());
        let waiting_members = all.iter().filter(|member| member.waiting > 0).count();
        assert_eq!(state.waiting_members as usize, waiting_members);
        for order in [Order::Guaranteed, Order::Rest] {
            let inside = all.iter().filter(|member| member.order == Some(order)).count();
            assert_eq!(self.orders[order as usize].len() as usize, inside, "{order:?}");
        }
        for member in all {
            assert_eq!(member.order, member.order(), "it is where it belongs");
        }
        let has_order = all.iter().any(|member| member.order.is_some());
        let is_full = state.used >= state.limits.capacity;
        assert!(!has_order || is_full || self.is_held(), "one waits beside a seat");
        assert_eq!(self.is_pressed(), has_order);
        let guaranteed: u32 = all.iter().map(|member| member.share.guaranteed).sum();
        assert!(state.waiting <= state.limits.room + guaranteed);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Arrive { member: u32, waits: bool },
    Release(u32),
    Leave(u32),
    Resize(u32),
    Reparallel(u32, u32),
    Reweigh(u32, u32),
    Pause(u32, bool),
    Hold(bool),
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    limits: PoolLimits,
    shares: [Share; MEMBERS],
    parallelism: u32,
    own_room: u32,
    /// Nanoseconds between two steps.
    pace: u64,
}

#[derive(Clone)]
struct Driver {
    rules: Rules,
    settings: Settings,
    now: Nanos,
    /// How often the second was admitted with a rank above the first's, while the first waited with the same claim.
    passed: [[u32; MEMBERS]; MEMBERS],
    parallelism: [u32; MEMBERS],
    shares: [Share; MEMBERS],
    /// The pressure, in nanoseconds.
    pressure: u64,
    /// The seat time under pressure of each member, and one for each admission from the line, in ticks.
    seat_time: [u64; MEMBERS],
}

impl Driver {
    fn new(settings: Settings) -> Self {
        let mut rules = Rules::new(settings.limits);
        for share in settings.shares {
            let guaranteed = share.guaranteed.min(settings.parallelism);
            rules.add(settings.parallelism, Share { guaranteed, ..share }, None);
        }
        Self {
            rules,
            settings,
            now: Nanos::ZERO,
            passed: Default::default(),
            parallelism: [settings.parallelism; MEMBERS],
            shares: settings.shares,
            pressure: 0,
            seat_time: [0; MEMBERS],
        }
    }

    fn held(&self, member: u32) -> u32 {
        self.rules.members.all[member as usize].held
    }

    fn waiting(&self, member: u32) -> u32 {
        self.rules.members.all[member as usize].waiting
    }

    /// Whether a step is possible.
    fn allows(&self, step: Step) -> bool {
        match step {
            Step::Release(member) => self.held(member) > 0,
            Step::Leave(member) => self.waiting(member) > 0,
            Step::Resize(capacity) => {
                capacity > 0 && capacity != self.rules.state().limits.capacity
            }
            Step::Reparallel(member, parallelism) => {
                self.parallelism[member as usize] != parallelism
            }
            Step::Arrive { .. } | Step::Pause(..) | Step::Hold(_) | Step::Reweigh(..) => true,
        }
    }

    /// Makes a step as the section of a gate does.
    fn step(&mut self, step: Step, pause: u64) {
        self.now = self.now.plus(std::time::Duration::from_nanos(pause));
        if self.rules.is_pressed() {
            let before = self.pressure >> TICK_BITS;
            self.pressure += pause;
            let ticks = (self.pressure >> TICK_BITS) - before;
            for member in 0..MEMBERS {
                self.seat_time[member] += ticks * u64::from(self.held(member as u32));
            }
        }
        self.rules.clock(self.now);
        match step {
            Step::Arrive { member, waits } => self.arrive(member, waits),
            Step::Release(member) => {
                self.rules.release(member);
                self.passed[member as usize] = [0; MEMBERS];
            }
            Step::Leave(member) => self.rules.leave(member, 1),
            Step::Resize(capacity) => {
                let room = self.rules.state().limits.room;
                self.rules.set_limits(PoolLimits { capacity, room });
            }
            Step::Reparallel(member, parallelism) => {
                self.parallelism[member as usize] = parallelism;
                self.change(member);
            }
            Step::Reweigh(member, weight) => {
                self.rules.touch(member);
                let waits = self.rules.members.all[member as usize].order.is_some();
                let before = self.rules.members.all[member as usize].settled();
                self.shares[member as usize].weight = weight;
                self.change(member);
                let after = self.rules.members.all[member as usize].settled();
                assert!(!waits || after == before, "the past keeps its weight");
            }
            Step::Pause(member, is_paused) => self.rules.set_paused(member, is_paused),
            Step::Hold(is_held) => self.rules.set_held(is_held),
        }
        while let Some(member) = self.rules.next() {
            self.assert_turn(member);
            self.rules.touch(member);
            let settled = self.rules.members.all[member as usize].settled();
            let most = self.rules.level().max(settled);
            self.rules.hand_over(member);
            assert!(self.rules.level() <= most, "the level rises above those who are served");
            self.seat_time[member as usize] += 1;
            self.passed[member as usize] = [0; MEMBERS];
        }
        if self.rules.begins_pressure() {
            self.rules.begin_pressure(self.now);
        }
        for member in 0..MEMBERS {
            if self.rules.members.all[member].order.is_none() {
                self.passed[member] = [0; MEMBERS];
            }
        }
        self.rules.assert_invariants();
    }

    /// To look at it counts it up to now, so it is not looked at after every step.
    fn assert_seat_time(&mut self) {
        for member in 0..MEMBERS as u32 {
            let seat_time = self.rules.seat_time(member) >> TICK_BITS;
            assert_eq!(seat_time, self.seat_time[member as usize], "the seat time of {member}");
        }
    }

    fn change(&mut self, member: u32) {
        let (share, parallelism) =
            (self.shares[member as usize], self.parallelism[member as usize]);
        let guaranteed = share.guaranteed.min(parallelism);
        self.rules.change(member, parallelism, Share { guaranteed, ..share });
    }

    fn arrive(&mut self, member: u32, waits: bool) {
        let own = self.rules.members.all[member as usize];
        let (state, share) = (self.rules.state(), own.share);
        let free = state.limits.room.saturating_sub(state.waiting);
        let has_place = own.held + own.waiting < share.guaranteed
            || (free > 0 && own.waiting < share.weight * free);
        assert_eq!(self.rules.has_place(member), has_place, "{own:?} with {free} free");
        if own.waiting == 0 && own.held < own.parallelism && !own.is_paused && self.rules.has_seat()
        {
            self.rules.admit(member);
        } else if waits && own.waiting < self.settings.own_room && self.rules.has_place(member) {
            assert!(own.waiting < self.rules.places(member));
            self.rules.join(member);
        }
    }

    /// Asserts that nobody who waits has a better claim, but for one admission and the slots that tags are compared by.
    fn assert_turn(&mut self, admitted: u32) {
        let own = self.rules.members.all[admitted as usize];
        assert!(own.waiting > 0 && own.held < own.parallelism && !own.is_paused);
        let state = self.rules.state();
        assert!(state.used < state.limits.capacity);
        let rank = self.rules.rank(admitted);
        for other in (0..MEMBERS as u32).filter(|&other| other != admitted) {
            let Some(order) = self.rules.members.all[other as usize].order else { continue };
            if order == Order::Guaranteed {
                assert_eq!(own.order, Some(Order::Guaranteed), "guarantees come first");
            } else if own.order == Some(Order::Guaranteed) {
                continue;
            }
            if rank >> SLOT_BITS > (self.rules.rank(other) >> SLOT_BITS) + 1 {
                let passed = &mut self.passed[other as usize][admitted as usize];
                *passed += 1;
                assert!(*passed <= 1, "{admitted} is admitted before {other} again and again");
            }
        }
    }
}

fn steps() -> Vec<Step> {
    let members = 0..MEMBERS as u32;
    let of_each = members.flat_map(|member| {
        [
            Step::Arrive { member, waits: true },
            Step::Arrive { member, waits: false },
            Step::Release(member),
            Step::Leave(member),
        ]
    });
    of_each.chain([1, 2, 3].map(Step::Resize)).collect()
}

/// Goes through all sequences of so many steps. Returns how many steps there were.
fn explore(driver: &Driver, all: &[Step], depth: usize) -> u64 {
    let mut count = 0;
    for &step in all.iter().filter(|&&step| driver.allows(step)) {
        let mut next = driver.clone();
        next.step(step, driver.settings.pace);
        count += 1;
        match depth {
            1 => next.assert_seat_time(),
            _ => count += explore(&next, all, depth - 1),
        }
    }
    count
}

fn settings() -> Vec<Settings> {
    let mut all = Vec::new();
    let share = |weight, guaranteed| Share { weight, guaranteed };
    for capacity in 1..=3 {
        for room in [0, 1, 3] {
            for shares in [
                [Share::EVEN; MEMBERS],
                [share(2, 0), Share::EVEN, Share::EVEN],
                [share(1, 1), share(2, 0), Share::EVEN],
                [share(1, 1), share(2, 1), share(1, 1)],
            ] {
                for (parallelism, own_room) in [(1, 9), (2, 1), (9, 9)] {
                    for pace in [0, 20_000, 5_000_000] {
                        let limits = PoolLimits { capacity, room };
                        all.push(Settings { limits, shares, parallelism, own_room, pace });
                    }
                }
            }
        }
    }
    all
}

#[test]
fn whatever_happens_in_a_few_steps_the_invariants_hold() {
    let depth = std::env::var("BULKLINK_POOL_DEPTH").map_or(4, |depth| depth.parse().unwrap());
    let (all, mut count) = (steps(), 0);
    for settings in settings() {
        count += explore(&Driver::new(settings), &all, depth);
    }
    println!("{count} steps");
}

/// Numbers by xorshift (Marsaglia, 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn on_long_walks_the_invariants_hold() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for settings in settings() {
        let mut driver = Driver::new(settings);
        for _ in 0..1_000 {
            let member = random.below(MEMBERS as u64) as u32;
            let step = match random.below(16) {
                0..7 => Step::Arrive { member, waits: true },
                7 => Step::Arrive { member, waits: false },
                8..13 => Step::Release(member),
                13 => Step::Leave(member),
                14 => Step::Resize(1 + random.below(3) as u32),
                _ if random.below(2) == 0 => Step::Pause(member, random.below(3) == 0),
                _ if random.below(4) == 0 => Step::Hold(random.below(3) == 0),
                _ if random.below(2) == 0 => Step::Reweigh(member, 1 + random.below(4) as u32),
                _ => Step::Reparallel(member, 1 + random.below(3) as u32),
            };
            let pause = [0, 1_000, 300_000, 50_000_000][random.below(4) as usize];
            if driver.allows(step) {
                driver.step(step, random.below(pause + 1));
                if random.below(50) == 0 {
                    driver.assert_seat_time();
                }
            }
        }
    }
}

/// A guarantee is served over and over while a member waits that has used much. Whoever comes then with less is before it.
#[test]
fn a_guarantee_that_is_served_leaves_the_order_of_the_others() {
    let shares = [Share { weight: 1, guaranteed: 1 }, Share::EVEN, Share::EVEN];
    let limits = PoolLimits { capacity: 1, room: 99 };
    let settings = Settings { limits, shares, parallelism: 9, own_room: 9, pace: 0 };
    let mut driver = Driver::new(settings);
    let arrive = |member| Step::Arrive { member, waits: true };
    driver.step(arrive(1), 0);
    driver.step(arrive(0), 0);
    driver.step(Step::Release(1), 1_000_000_000);
    driver.step(arrive(1), 0);
    driver.step(arrive(0), 0);
    driver.step(Step::Release(0), 0);
    assert_eq!([0, 1, 2].map(|member| driver.held(member)), [1, 0, 0]);
    driver.step(arrive(2), 0);
    driver.step(Step::Release(0), 0);
    assert_eq!([0, 1, 2].map(|member| driver.held(member)), [0, 0, 1], "it has used nothing");
}
