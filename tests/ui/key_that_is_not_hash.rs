//! A key type that does not implement `Hash`.
//~ Customer: Hash
//~ #[derive(Hash)]

use bulklink::PartitionedBulkhead;

#[derive(Clone, PartialEq, Eq)]
struct Customer(u64);

fn main() {
    let builder = PartitionedBulkhead::<Customer>::builder("customers").parallelism(1);
    let _ = builder.max_partitions(9).build();
}
