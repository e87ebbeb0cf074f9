//! Guides: each answers one question, with code that compiles and runs.
//!
//! | guide | question |
//! |---|---|
//! | [getting_started] | How do I put a first limit in front of a route, and see that it works? |
//! | [where_in_the_stack] | Where does the layer go, and what do the layers around it see of a request that waits? |
//! | [sizing] | How many operations may run, how many may wait, and for how long? |
//! | [deadlines] | How do I keep work from starting whose caller has already left? |
//! | [weighted] | What if some operations cost more than others? |
//! | [per_customer] | How do I keep one customer from using up what is meant for all? |
//! | [sharing] | How do several modules use the same bulkhead? |
//! | [changing] | How do I change limits while the service runs? |
//! | [shutdown] | How do I stop a server without losing requests? |
//! | [long_lived] | How do I limit streams, WebSockets and blocking work? |
//! | [answers] | What does a client get when a request is rejected? |
//! | [reading] | How do I find out what a bulkhead is doing, and whether its limits are right? |
//! | [metrics] | How do I get this into Prometheus, with alerts, and onto a page? |
//! | [retries] | How do retries and bulkheads go together? |
//! | [testing] | How do I test what my service does when it is full? |
//! | [replicas] | What changes when the service runs in many processes? |
//! | [checklist] | What should I check before this goes into production? |
//! | [moving] | How do I move here from another limiter? |
//! | [faq] | Why is it made like this? |
//!
//! New here? Read [getting_started], [where_in_the_stack] and [sizing], in this order. The others can wait until you
//! have their question.
//!
//! Whole programs to start from are in the folder `examples` of the crate, whose `README.md` says which does what:
//! isolated routes, gold customers under one cap, uploads by size, tonic with deadlines, shutdown, a client's stack,
//! WebSockets and server-sent events, metrics, reloading, and the tests of an app of one's own.

pub mod answers;
pub mod changing;
pub mod checklist;
pub mod deadlines;
pub mod faq;
pub mod getting_started;
pub mod long_lived;
pub mod metrics;
pub mod moving;
pub mod per_customer;
pub mod reading;
pub mod replicas;
pub mod retries;
pub mod sharing;
pub mod shutdown;
pub mod sizing;
pub mod testing;
pub mod weighted;
pub mod where_in_the_stack;
