//! The contract with tower: what every kind of layer does in every situation of a service's life. Every cell of
//! the tables in `docs/tower-contract.md` has one test.
//!
//! Three kinds of layers wait in readiness and three per request. Each situation is written once for each of
//! the two ways to wait.

mod harness;
mod layer_kinds;
mod per_request;
mod readiness;
mod tower_middleware;

macro_rules! cells {
    ($wait:ident, $kind:ident) => {
        cells! { $wait, $kind:
            ready_then_call ready_then_drop clone_of_a_ready_handle call_without_ready inner_pending
            inner_readiness_error inner_call_error inner_panic drop_while_queued
            rejection_then_reuse buffer_outside load_shed_outside timeout_outside
            steer_and_balance
        }
    };
    ($wait:ident, $kind:ident: $($cell:ident)*) => {
        pub(super) const CELLS: &[&str] = &[$(stringify!($cell)),*];
        $(
            #[test]
            fn $cell() {
                crate::tower::contracts::$wait::$cell::<crate::tower::contracts::layer_kinds::$kind>();
            }
        )*
    };
}

macro_rules! table {
    ($($name:ident: $kind:ident waits in $wait:ident;)*) => {
        $(
            mod $name {
                cells!($wait, $kind);
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
fn every_cell_of_the_documented_tables_names_its_test_and_no_other() {
    let document = include_str!("../../../../docs/tower-contract.md");
    let mut named: Vec<_> = document.split('`').filter(|text| text.contains("::")).collect();
    let mut tests: Vec<_> = TABLE
        .iter()
        .flat_map(|(kind, cells)| cells.iter().map(move |cell| format!("{kind}::{cell}")))
        .collect();
    named.sort_unstable();
    tests.sort_unstable();
    assert_eq!(named, tests);
}
