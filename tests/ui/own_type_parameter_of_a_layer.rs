//! A trait of a layer's type parameters, implemented outside the crate.
//~ Own: bulklink::middleware::sealed::Sealed
//~ `Admit` is a "sealed trait"

use bulklink::layer::Admit;

struct Own;

impl Admit for Own {
    fn count_bypass(&self) {}
}

fn main() {}
