//! The tower middleware: layers, their services and response futures, by themselves and on real sockets.

mod axum_on_sockets;
mod backpressure;
mod bodies_ended_early;
mod bypass;
mod contracts;
mod custom_rejections;
mod cut_short;
mod deadlines;
mod described_rejections;
mod fair_shares;
mod held_bodies;
mod held_bodies_on_sockets;
mod hostile_clients;
mod key_extraction;
mod layer_placement;
mod lent_slots;
mod load;
mod malformed_input;
mod nested;
mod rejection_responses;
mod request_keys;
mod tonic_on_sockets;
mod where_in_the_stack;
