//! The cases as an actix-web user writes them: serde and validator.
mod order;

use actix_web::{error, web, App, HttpServer, Result};
use order::{accept, Message, Order, Receipt};
use validator::Validate;

async fn create(order: web::Json<Order>) -> Result<web::Json<Receipt>> {
    order.validate().map_err(error::ErrorUnprocessableEntity)?;
    Ok(web::Json(accept(order.into_inner())))
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args().nth(1).expect("a port").parse().expect("a port");
    HttpServer::new(|| {
        App::new()
            .route("/plaintext", web::get().to(|| async { "Hello, World!" }))
            .route("/json", web::get().to(|| async { web::Json(Message { message: "Hello, World!" }) }))
            .route("/order", web::post().to(create))
    })
    .workers(1)
    .bind(("127.0.0.1", port))?
    .run()
    .await
}
