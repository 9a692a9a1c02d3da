//! What the shop earned in the past year.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write as _};

use crate::catalogue::{Catalogue, Category, Cents};
use crate::orders::{self, DAYS, Order};

const DAYS_PER_MONTH: u32 = DAYS.div_ceil(12);
const BEST_CUSTOMERS: usize = 10;

/// Sums over all orders.
pub(crate) struct Sales {
    months: BTreeMap<(Category, u32), u64>,
    best_customers: Vec<(u64, String)>,
    /// The value of every order, from the smallest to the largest.
    orders: Vec<u64>,
}

impl Sales {
    pub(crate) fn build(catalogue: &Catalogue) -> Self {
        let mut months = BTreeMap::new();
        let mut customers: HashMap<String, u64> = HashMap::new();
        let mut orders = Vec::new();
        for order in orders::replay(catalogue.products().len()) {
            let value = add(&order, catalogue, &mut months);
            *customers.entry(format!("customer-{:06}", order.customer)).or_default() += value;
            orders.push(value);
        }
        orders.sort_unstable();
        Self { months, best_customers: best(customers), orders }
    }

    fn quantile(&self, percent: usize) -> Cents {
        Cents(self.orders.get(self.orders.len() * percent / 100).copied().unwrap_or_default())
    }
}

/// Adds an order to its month and answers its value.
fn add(order: &Order, catalogue: &Catalogue, months: &mut BTreeMap<(Category, u32), u64>) -> u64 {
    let products = order.products.iter().filter_map(|id| catalogue.product(*id));
    products
        .map(|product| {
            *months.entry((product.category, order.day / DAYS_PER_MONTH)).or_default() += product.price.0;
            product.price.0
        })
        .sum()
}

fn best(customers: HashMap<String, u64>) -> Vec<(u64, String)> {
    let mut best: Vec<_> = customers.into_iter().map(|(customer, value)| (value, customer)).collect();
    best.sort_unstable_by(|one, other| other.cmp(one));
    best.truncate(BEST_CUSTOMERS);
    best
}

impl fmt::Display for Sales {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for category in Category::ALL {
            let months = self.months.range((category, 0)..=(category, u32::MAX));
            let mut row = String::new();
            for (_, value) in months {
                write!(row, "{:>14}", Cents(*value).to_string())?;
            }
            writeln!(f, "{:<10}{row}", format!("{category:?}"))?;
        }
        for percent in [10, 50, 90, 99] {
            writeln!(f, "{percent} % of the orders were below {}", self.quantile(percent))?;
        }
        self.best_customers.iter().try_for_each(|(value, name)| writeln!(f, "{name} {}", Cents(*value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::generate;

    #[test]
    fn the_months_add_up_to_the_orders() {
        let sales = Sales::build(&Catalogue::parse(&generate(200)));
        assert_eq!(sales.months.values().sum::<u64>(), sales.orders.iter().sum::<u64>());
        assert!(sales.quantile(10) < sales.quantile(90));
    }
}
