//! A view of one's own over two tables of one's own: what each product has sold.
//!
//! ```sql
//! SELECT p.sku, p.title, count(*) AS sales, sum(s.units) AS units
//! FROM products p JOIN sales s ON s.sku = p.sku GROUP BY p.sku, p.title
//! ```
//!
//! `cargo run --example own_view -- LOG` prints the documents of a log of these tables as JSON lines.

use deltaic::dataflows::{
    BadValue, Collections, ColumnValue, Kind, Schema, Table, Time, Uuid, Value, VecCollection, View, row,
};
use deltaic::{Engine, FinalLines, Log};
use serde::{Deserialize, Serialize};

/// The key of a product: text of our own kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Sku(String);

impl ColumnValue for Sku {
    const KIND: Kind = Kind::Text;

    fn take(value: &mut Value, column: &'static str) -> Result<Sku, BadValue> {
        String::take(value, column).map(Sku)
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

row! { pub(crate) struct Product in "public.products" (sku: Sku) { title: Value } }
row! { pub(crate) struct Sale in "public.sales" (id: Uuid) { sku: Sku, units: i64 } }

/// What each product has sold.
#[derive(Clone)]
pub(crate) struct Sales;

impl View for Sales {
    type Tables = (Product, Sale);
    /// The document's id, and its fields.
    type Output = (String, (String, Value, i64, i64));

    fn name(&self) -> &str {
        "sales"
    }

    fn tables(&self) -> Vec<Table> {
        vec![Product::table(), Sale::table()]
    }

    fn schema(&self) -> Schema {
        [("sku", Kind::Text), ("title", Kind::Any), ("sales", Kind::Integer), ("units", Kind::Integer)].into()
    }

    fn build<'scope>(&self, tables: Collections<'scope, Self>) -> VecCollection<'scope, Time, Self::Output> {
        let (products, sales) = tables;
        let sold = sales
            .map(|(id, sale)| (sale.sku, (id, sale.units)))
            .reduce_named("Reduce: sold by product", |_, sales, sold| {
                sold.push(((sales.len() as i64, sales.iter().map(|(sale, _)| sale.1).sum()), 1))
            });
        products.join_map(sold, |Sku(sku), product, (sales, units): &(i64, i64)| {
            (sku.clone(), (sku.clone(), product.title.clone(), *sales, *units))
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let log = std::env::args().nth(1).ok_or("usage: own_view LOG")?;
    let report = Engine::replay(Sales, Log::file(log)).run(&mut FinalLines::new(std::io::stdout()))?;
    eprintln!("exact at {:?}", report.exact_at);
    Ok(())
}
