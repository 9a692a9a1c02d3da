//! What customers bought in the past year.

use crate::random::Random;

/// Days that the log goes back.
pub(crate) const DAYS: u32 = 365;
const SEED: u64 = 0x0bde_0bde;
/// A shop with more products sells more.
const ORDERS_PER_PRODUCT: u32 = 64;
const CUSTOMERS: u32 = 30_000;

/// What one customer bought at once.
pub(crate) struct Order {
    /// Days before today.
    pub(crate) day: u32,
    pub(crate) customer: u32,
    pub(crate) products: [u32; 3],
}

/// The orders of a shop with this many products, in no particular order.
pub(crate) fn replay(products: usize) -> impl Iterator<Item = Order> {
    let products = u32::try_from(products).unwrap_or(u32::MAX);
    let mut random = Random::new(SEED);
    (0..products.saturating_mul(ORDERS_PER_PRODUCT)).map(move |_| order(products, &mut random))
}

fn order(products: u32, random: &mut Random) -> Order {
    Order {
        day: random.below(DAYS),
        customer: random.skewed(CUSTOMERS),
        products: std::array::from_fn(|_| random.skewed(products)),
    }
}
