//! Runs a single case, for profilers and instruction counters: `--case NAME TIMES`.
//!
//! Used by `benches/instructions.sh`. Without `--case`, prints the names of the cases.

#[path = "../tests/it/support/counting_allocator.rs"]
#[expect(dead_code, reason = "only the growth bench and the summary count allocations")]
mod alloc;
#[expect(dead_code, reason = "this bench uses only some of the cases")]
mod cases;

use std::{env, process::ExitCode};

use self::cases::{Case, handover, handover::RuntimeKind, layer, partitions, uncontended};

type MakeCase = fn() -> Case;

const CASES: [(&str, MakeCase); 18] = [
    ("slot_now", uncontended::slot_now),
    ("execute", uncontended::execute),
    ("layer", layer::plain),
    ("layer_per_request", layer::per_request),
    ("partition_hit", || partitions::hit(100)),
    ("shared_hit", || partitions::shared_hit(100)),
    ("weighted_slot_now_4", uncontended::weighted_slot_now),
    ("rejected_slot_now", uncontended::rejected_slot_now),
    ("rejected_layer", layer::plain_rejection),
    ("handover_before", || handover::execute_before(RuntimeKind::CurrentThread)),
    ("handover", || handover::execute(RuntimeKind::CurrentThread, None)),
    ("handover_between_keys", || handover::between_keys(RuntimeKind::CurrentThread, 1_000)),
    ("tokio_try_acquire_owned", uncontended::tokio_try_acquire_owned),
    ("tokio_acquire", uncontended::tokio_acquire),
    ("tower_concurrency_limit", layer::concurrency_limit),
    ("tower_stack_rejection", layer::tower_stack_rejection),
    ("dashmap_hit", || partitions::dashmap_hit(100)),
    ("tokio_handover", || handover::tokio_acquire(RuntimeKind::CurrentThread)),
];

fn main() -> ExitCode {
    let arguments: Vec<String> =
        env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ["--case", name, times] = arguments[..] else {
        CASES.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let case = CASES.iter().find(|(known, _)| *known == name);
    let (Some((_, make)), Ok(times)) = (case, times.parse()) else {
        eprintln!("no case is named `{name}`, or `{times}` is not a number");
        return ExitCode::FAILURE;
    };
    let elapsed = make().run(times);
    println!("{name}: {:.1} ns", elapsed.as_nanos() as f64 / times as f64);
    ExitCode::SUCCESS
}
