//! The waiting line as queueing theory models it: Poisson arrivals, `n` servers, one first-in-first-out line.
//!
//! It owns the formulas and knows nothing of bulkheads. Loads are in servers: the mean number that would be busy if there
//! were enough of them.

/// The chance that a newcomer has to wait, with 1, 2, 3 and so on servers for one offered load.
///
/// A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in automatic telephone
/// exchanges", 1917. The loss formula B is computed by its usual recursion, `B(n) = r B(n - 1) / (n + r B(n - 1))`, which
/// neither overflows nor cancels; the waiting formula C follows from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Erlang {
    load: f64,
    servers: u32,
    blocked: f64,
}

impl Erlang {
    pub(super) fn new(load: f64) -> Self {
        Self { load, servers: 0, blocked: 1.0 }
    }

    /// Moves on to this many servers.
    pub(super) fn advance(&mut self, servers: u32) {
        while self.servers < servers {
            self.servers += 1;
            let blocked = self.load * self.blocked;
            self.blocked = blocked / (f64::from(self.servers) + blocked);
        }
    }

    /// Returns the chance to wait, from 0 to 1: Erlang's C.
    pub(super) fn wait_chance(&self) -> f64 {
        let use_of_servers = self.load / f64::from(self.servers);
        if use_of_servers < 1.0 {
            self.blocked / (1.0 - use_of_servers * (1.0 - self.blocked))
        } else {
            1.0
        }
    }

    /// Returns the mean wait of those that have to wait, in the unit of `mean_hold`; `None` if the line only grows.
    ///
    /// The factor `(ca2 + cs2) / 2` for arrivals and holds that are not exponential is the Allen-Cunneen approximation: A. O.
    /// Allen, "Probability, Statistics, and Queueing Theory", 1978. Here `ca2`, that of the arrivals, is 1.
    pub(super) fn mean_wait_of_waiters(&self, mean_hold: f64, variability: f64) -> Option<f64> {
        let spare = f64::from(self.servers) - self.load;
        (spare > 0.0).then(|| mean_hold / spare * (1.0 + variability) / 2.0)
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use super::*;

    /// The chance to wait by the definition, with sums of powers and factorials.
    fn by_definition(servers: u32, load: f64) -> f64 {
        let mut term = 1.0;
        let mut below = 0.0;
        for served in 0..servers {
            below += term;
            term *= load / f64::from(served + 1);
        }
        let top = term / (1.0 - load / f64::from(servers));
        top / (below + top)
    }

    #[test]
    fn the_recursion_agrees_with_the_definition() {
        for (servers, load) in [(1, 0.8), (2, 1.0), (10, 8.0), (25, 20.0), (60, 59.0)] {
            let mut erlang = Erlang::new(load);
            erlang.advance(servers);
            let (chance, exact) = (erlang.wait_chance(), by_definition(servers, load));
            assert!((chance / exact - 1.0).abs() < 1e-9, "{servers}, {load}: {chance} for {exact}");
        }
        // By hand: with two servers and a load of one, a third has to wait.
        let mut erlang = Erlang::new(1.0);
        erlang.advance(2);
        assert!((erlang.wait_chance() - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn every_newcomer_waits_where_the_load_is_too_large_and_none_without_load() {
        let mut erlang = Erlang::new(3.0);
        erlang.advance(3);
        assert_eq!((erlang.wait_chance(), erlang.mean_wait_of_waiters(1.0, 1.0)), (1.0, None));
        let mut erlang = Erlang::new(0.0);
        erlang.advance(1);
        assert_eq!(erlang.wait_chance(), 0.0);
    }

    #[test]
    fn the_mean_wait_of_one_server_is_that_of_pollaczek_and_khinchine() {
        // S = 1, load 0.8: the waiters of M/M/1 wait for 5, and those of M/D/1 for half of that.
        let mut erlang = Erlang::new(0.8);
        erlang.advance(1);
        let wait = |variability| erlang.mean_wait_of_waiters(1.0, variability).unwrap();
        assert!((wait(1.0) - 5.0).abs() < 1e-9 && (wait(0.0) - 2.5).abs() < 1e-9);
    }
}
