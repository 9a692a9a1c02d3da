//! The demo of kube-booster: a shop that is cold at its start ([`server`]), and users who arrive at once ([`users`]).
//!
//! The shop's coldness is real work, as in real apps: each worker thread has its own caches and fills each at the
//! first request that needs it. Nothing sleeps.

pub mod server;
pub mod shutdown;
pub mod users;

mod catalogue;
mod companions;
mod curve;
mod front;
mod orders;
mod prices;
mod random;
mod route;
mod sales;
mod search;
mod shop;
mod similarity;
mod storefront;
mod template;
mod workers;
