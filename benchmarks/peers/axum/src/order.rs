use serde::{Deserialize, Serialize};
use validator::Validate;

#[derive(Deserialize, Serialize, Validate)]
pub struct Customer {
    #[validate(length(min = 1, max = 100))]
    pub name: String,
    #[validate(length(min = 3, max = 254))]
    pub email: String,
    #[allow(dead_code)]
    pub phone: Option<String>,
}

#[derive(Deserialize, Serialize, Validate)]
pub struct Address {
    #[validate(length(min = 1, max = 200))]
    pub street: String,
    #[validate(length(min = 1, max = 100))]
    pub city: String,
    #[validate(length(min = 2, max = 12))]
    pub postcode: String,
    #[validate(length(equal = 2))]
    pub country: String,
}

#[derive(Deserialize, Serialize, Validate)]
pub struct Line {
    #[validate(length(min = 3, max = 20))]
    pub sku: String,
    #[validate(length(min = 1, max = 200))]
    pub title: String,
    #[validate(range(min = 1, max = 10000))]
    pub quantity: i32,
    #[validate(range(min = 0.0))]
    pub price: f64,
    #[serde(default)]
    #[allow(dead_code)]
    pub tags: Vec<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    Economy,
    #[default]
    Standard,
    Express,
}

#[derive(Deserialize, Serialize, Validate)]
pub struct Order {
    #[validate(length(min = 1, max = 40))]
    pub reference: String,
    #[validate(nested)]
    pub customer: Customer,
    #[validate(nested)]
    pub shipping: Address,
    #[validate(length(min = 1, max = 100), nested)]
    pub lines: Vec<Line>,
    #[serde(default)]
    #[allow(dead_code)]
    pub priority: Priority,
    #[serde(default)]
    #[allow(dead_code)]
    pub gift: bool,
    #[allow(dead_code)]
    pub note: Option<String>,
}

#[derive(Serialize)]
pub struct Receipt {
    pub reference: String,
    pub customer: String,
    pub lines: i64,
    pub units: i64,
    pub total: f64,
    pub status: &'static str,
}

#[derive(Serialize)]
pub struct Message {
    pub message: &'static str,
}

pub fn accept(order: Order) -> Receipt {
    Receipt {
        lines: order.lines.len() as i64,
        units: order.lines.iter().map(|line| i64::from(line.quantity)).sum(),
        total: order.lines.iter().map(|line| f64::from(line.quantity) * line.price).sum(),
        reference: order.reference,
        customer: order.customer.name,
        status: "accepted",
    }
}
