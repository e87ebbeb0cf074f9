//! Why is it made like this?
//!
//! **Is this a rate limiter?** No. A rate limiter bounds how many requests *begin* in a second; a bulkhead bounds how
//! many *run at once*. If the dependency becomes ten times slower, a rate limiter lets ten times as many pile up on it,
//! and a bulkhead lets in a tenth of them. For quotas, such as 1,000 calls a day, you need a rate limiter.
//!
//! **Why is nobody allowed to wait by default?** A line that is too long makes every request late, and its callers
//! leave. How long it may be follows from the time for which callers wait, which only you know: see
//! [sizing](super::sizing).
//!
//! **Why strictly first in, first out?** It is what callers expect, and what can be reasoned about: whoever waits knows
//! that only those before it are served first. Serving the newest first gives more of them a short wait in an overload,
//! and lets the others starve. Here wait limits and [deadlines](super::deadlines) keep the line from being full of
//! callers who have left.
//!
//! **Why does a small operation not overtake a large one?** Because the large one would then wait for ever in steady
//! traffic. See [weighted](super::weighted).
//!
//! **Why does it not find the limit by itself?** An adaptive limit goes by latency or errors, which change for many
//! reasons. A limit that is written down can be reviewed, tested and divided among replicas.
//! [`BulkheadInterval::advise`] computes a better one from what was measured, and you decide. If you want a limit that
//! adapts itself, there are crates for that.
//!
//! **Why does a deadline not end the work?** Because the bulkhead does not know what that would break. Dropping a
//! future in the middle of a payment is your decision: put a timeout inside of the layer.
//!
//! **Why 503 for a full bulkhead, and 429 for a full partition?** 503 says that the service is busy, whoever asks. 429
//! says that *you* send too much, which is true only if the limit is yours.
//!
//! **Why is the body of the answer empty?** It may go to strangers, and labels and sizes are none of their business.
//! `describe` adds a JSON body, and `on_reject` whatever you like: see [answers](super::answers).
//!
//! **Why is `per_request` not the default?** tower says that a service that is ready can take a request, so a layer in
//! tower waits for its slot in `poll_ready`, and clients, balancers and buffers rely on it. Servers do not: see
//! [where_in_the_stack](super::where_in_the_stack).
//!
//! **Why does `poll_ready` not fail when it is full?** In tower an error of `poll_ready` means that the service is
//! broken, and callers throw it away. A full bulkhead is ready to say no.
//!
//! **Why a label?** It is in every rejection, log line, metric and report. Without it you would know that something is
//! full, and not what.
//!
//! **Does it need tokio?** Waits with a limit or a deadline use tokio's timer. Without these, any executor will do:
//!
//! ```
//! let payments = bulklink::Bulkhead::builder("payments").parallelism(1).build()?;
//! let answer = tokio_test::task::spawn(payments.execute(async { "paid" })).poll();
//! assert!(matches!(answer, std::task::Poll::Ready(Ok("paid"))));
//! # Ok::<(), bulklink::ConfigError>(())
//! ```
//!
//! **Is there a background task?** No. Each limit is kept by a timer of the runtime in which somebody waits, and
//! everything else happens in the calls that cause it.
//!
//! **What does it cost?** An admission that does not wait takes tens of nanoseconds, and in a plain bulkhead no lock
//! and no allocation, unless there is a new peak or a subscriber. `docs/performance.md` compares every case with a
//! peer, those that are slower included.
//!
//! **Does it use `unsafe`?** No, the crate forbids it.
//!
//! **Can a slot get lost?** Not by dropping or by a panic, at any point; `docs/reliability.md` says how that is
//! checked. A slot that is leaked with `mem::forget`, or kept in a map, is held. The finding
//! [`FindingCode::SlotsHeldLong`] tells of it.
//!
//! **Why is there no circuit breaker?** A bulkhead with a short wait limit already keeps a dead dependency from taking
//! everything: at most `parallelism` calls hang in it. To stop calling it at all, put a circuit breaker inside of the
//! layer, where it sees only calls that were admitted.
//!
//! **Why is it not distributed?** An admission would cost a round trip, and the bulkhead would fail with whatever it
//! asks. See [replicas](super::replicas).
//!
//! **Why can I not see the keys?** They are customers. Only [`PartitionedBulkhead::busiest`] and
//! [`PartitionedBulkhead::for_each_partition`] give them out, to code that asks.
//!
//! [`BulkheadInterval::advise`]: crate::BulkheadInterval::advise
//! [`FindingCode::SlotsHeldLong`]: crate::FindingCode::SlotsHeldLong
//! [`PartitionedBulkhead::busiest`]: crate::PartitionedBulkhead::busiest
//! [`PartitionedBulkhead::for_each_partition`]: crate::PartitionedBulkhead::for_each_partition
