//! The table of tower contracts: what every kind of layer does in every situation of a service's
//! life, one test per cell. `docs/tower-contract.md` is the table to read.
//!
//! Three rows wait in readiness and three per request; a situation is written once for each of the
//! two ways.

mod harness;
mod layer_kinds;
mod per_request;
mod readiness;
mod tower_middleware;

macro_rules! cells {
    ($place:ident, $row:ident) => {
        cells! { $place, $row:
            ready_then_call ready_then_drop clone_of_a_ready_handle call_without_ready inner_pending
            inner_readiness_error inner_call_error inner_panic drop_while_queued
            rejection_then_reuse buffer_outside load_shed_outside timeout_outside
            steer_and_balance
        }
    };
    ($place:ident, $row:ident: $($cell:ident)*) => {
        pub(super) const CELLS: &[&str] = &[$(stringify!($cell)),*];
        $(
            #[test]
            fn $cell() {
                crate::tower::contracts::$place::$cell::<crate::tower::contracts::layer_kinds::$row>();
            }
        )*
    };
}

macro_rules! table {
    ($($name:ident: $row:ident waits in $place:ident;)*) => {
        $(
            mod $name {
                cells!($place, $row);
            }
        )*

        const TABLE: &[(&str, &[&str])] = &[$((stringify!($name), $name::CELLS)),*];
    };
}

table! {
    plain: Plain waits in readiness;
    weighted_fixed: WeightedFixed waits in readiness;
    partitioned_fixed: PartitionedFixed waits in readiness;
    plain_per_request: PlainPerRequest waits in per_request;
    weighted_by_request: WeightedByRequest waits in per_request;
    partitioned_by_request: PartitionedByRequest waits in per_request;
}

#[test]
fn every_cell_of_the_written_table_names_its_test_and_no_other() {
    let written = include_str!("../../../../docs/tower-contract.md");
    let mut named: Vec<_> = written.split('`').filter(|text| text.contains("::")).collect();
    let mut tests: Vec<_> = TABLE
        .iter()
        .flat_map(|(row, cells)| cells.iter().map(move |cell| format!("{row}::{cell}")))
        .collect();
    named.sort_unstable();
    tests.sort_unstable();
    assert_eq!(named, tests);
}
