//! The cases as an axum user writes them: serde and validator.
mod order;

use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use order::{accept, Message, Order, Receipt};
use validator::Validate;

async fn create(Json(order): Json<Order>) -> Result<Json<Receipt>, (StatusCode, String)> {
    order.validate().map_err(|errors| (StatusCode::UNPROCESSABLE_ENTITY, errors.to_string()))?;
    Ok(Json(accept(order)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let app = Router::new()
        .route("/plaintext", get(|| async { "Hello, World!" }))
        .route("/json", get(|| async { Json(Message { message: "Hello, World!" }) }))
        .route("/order", post(create));
    let port = std::env::args().nth(1).expect("a port");
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("the port");
    axum::serve(listener, app).await.expect("serving");
}
